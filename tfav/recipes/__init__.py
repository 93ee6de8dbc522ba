"""Papers, each one recipe."""

from tfav.recipes import avts, dmc, infonce, l3, mmcosine, soundnet, voice_face

RECIPES = {
    "voice_face": voice_face.VoiceFace,
    "mmcosine": mmcosine.MMCosine,
    "dmc": dmc.DMC,
    "l3": l3.L3,
    "infonce": infonce.InfoNCE,
    "avts": avts.AVTS,
    "soundnet": soundnet.SoundNet,
}
