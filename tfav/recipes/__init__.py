"""Papers, each one recipe."""

from tfav.recipes import avts, dmc, l3, mmcosine, soundnet, voice_face

RECIPES = {
    "voice_face": voice_face.VoiceFace,
    "mmcosine": mmcosine.MMCosine,
    "dmc": dmc.DMC,
    "l3": l3.L3,
    "avts": avts.AVTS,
    "soundnet": soundnet.SoundNet,
}
