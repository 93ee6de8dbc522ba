"""What an artefact says of itself beside its signatures, and where that stands."""

import os
import re
from collections.abc import Sequence

from tfav import registry

FACTS_FORMAT = 2
# Below the folder of a SavedModel; a `.tflite` holds the same inside (`tflite_metadata`).
FACTS_FILE = os.path.join("assets.extra", "tfav.json")
_STEP = re.compile(r"embed_audio_[0-9.]+s")


def versions(directory: str) -> list[int]:
    """Returns the integer names of the folders in `directory`, ascending; none if absent."""
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise registry.UserError(f"{directory} is a file: name a folder to export to.") from error
    return sorted(int(e.name) for e in entries if is_version(e.name) and e.is_dir())


def is_version(name: str) -> bool:
    """Says whether a folder's name is that of a version: an integer."""
    return name.isascii() and name.isdigit()


def modality_of(signatures: Sequence[str]) -> str | None:
    """Returns the modality that a file with these signatures embeds; None: it classifies."""
    if "classify" in signatures:
        return None
    if all(_STEP.fullmatch(name) for name in signatures):
        return "audio"
    (name,) = signatures
    return name.removeprefix("embed_")
