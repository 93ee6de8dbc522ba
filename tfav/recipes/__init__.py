"""Papers, each one recipe."""

from tfav.recipes import dmc, infonce, l3, mmcosine, voice_face

RECIPES = {
    "voice_face": voice_face.VoiceFace,
    "mmcosine": mmcosine.MMCosine,
    "dmc": dmc.DMC,
    "l3": l3.L3,
    "infonce": infonce.InfoNCE,
}
