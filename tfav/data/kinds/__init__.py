"""The kinds of modality: one table. A kind elsewhere is named by its dotted path."""

from tfav.data.kinds import kind as _kind
from tfav.data.kinds.array_kind import MISFIT, ArrayKind
from tfav.data.kinds.audio_kind import AudioKind
from tfav.data.kinds.image_kind import ImageKind
from tfav.data.kinds.kind import Item, Kind

__all__ = ["ARRAY", "AUDIO", "IMAGE", "KINDS", "MISFIT", "ArrayKind", "Item", "Kind", "find"]

AUDIO, IMAGE, ARRAY = AudioKind(), ImageKind(), ArrayKind()
KINDS: dict[str, Kind] = {each.name: each for each in (AUDIO, IMAGE, ARRAY)}


def find(name: str) -> Kind:
    """Returns a row of `KINDS`, or what a dotted path leads to; see `kind.find`."""
    return _kind.find(KINDS, name)
