"""Papers, each one recipe."""

from tfav.recipes import (
    avts,
    dimnet,
    dmc,
    fop,
    infonce,
    l3,
    mmcosine,
    pins,
    soundnet,
    unlabelled,
    voice_face,
)

RECIPES = {
    "voice_face": voice_face.VoiceFace,
    "mmcosine": mmcosine.MMCosine,
    "dmc": dmc.DMC,
    "l3": l3.L3,
    "infonce": infonce.InfoNCE,
    "avts": avts.AVTS,
    "soundnet": soundnet.SoundNet,
    "fop": fop.FOP,
    "pins": pins.PINs,
    "dimnet": dimnet.DIMNet,
    "cmpc": unlabelled.CMPC,
    "self_lifting": unlabelled.SelfLifting,
}
