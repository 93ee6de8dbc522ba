"""What an artefact says of itself beside its signatures, and whether it is the one that was made.

An artefact is sealed: its facts hold the SHA-256 of all that it consists of. Beside it,
`parity.json` tells which files were published together; `Parity` is its one reader.
"""

import hashlib
import json
import os
import re
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

import tfav
from tfav import files, items, registry, states
from tfav import hearing as hearing_lib
from tfav.evaluation import decisions as decisions_lib
from tfav.inference import spaces

FACTS_FORMAT = 3
_KNOWN_FORMATS = (2, 3)
# Below the folder of a SavedModel; a `.tflite` holds the same inside (`tflite_metadata`).
FACTS_FILE = os.path.join("assets.extra", "tfav.json")
PARITY_FILE = "parity.json"
# What an export is about to move into its folder; there only while it does, or where it was killed.
JOURNAL_FILE = "publishing.json"
_BLANK = "0" * 64
_PARITY_FORM = {
    "artefacts": {"*": {"files": {"*": {"sha256": str, "*": object}}, "*": object}},
    "classes?": [str],
    "*": object,
}


class Facts(NamedTuple):
    """What an artefact says of itself.

    Attributes:
      format: of the facts.
      items: modality to what one item of it is.
      embedding_space: embeddings can be compared where it is the same.
      hearing: how much of a clip is heard.
      classes: names in the order of the logits; empty: it does not classify.
      localizes: whether it says where a sound comes from.
      files: path in a SavedModel's folder to its SHA-256; empty where it is not told.
      threshold: Score from which it takes a pair for matched; None where it does not.
      temperature: that InfoNCE has learnt; None of all else.
      decisions: thresholds and calibration; None without.
      told_space: whether its modalities share a space, see `spaces.told`.
      embedding_size: modality to D; empty where it is not told.
    """

    format: int
    items: dict[str, items.ItemSpec]
    embedding_space: str
    hearing: hearing_lib.Hearing
    classes: tuple[str, ...]
    localizes: bool
    files: dict[str, str]
    threshold: float | None = None
    temperature: float | None = None
    decisions: decisions_lib.Decisions | None = None
    told_space: bool | None = None
    embedding_size: Mapping[str, int] = types.MappingProxyType({})


def write_facts(**known: Any) -> dict[str, Any]:
    """Returns the facts of an artefact as JSON has them, the version of this library among them."""
    return {"format": FACTS_FORMAT, "tfav": tfav.__version__, **known}


def parse_facts(found: Mapping[str, Any]) -> Facts:
    """Returns what facts say.

    Raises:
      ValueError, KeyError, TypeError: not ours, or another version's.
    """
    if found["format"] not in _KNOWN_FORMATS:
        raise ValueError("another version of tfav made it")
    if found["format"] == 2:  # before encoders declared their items and runs their hearing
        each = {
            m: items.image(found["image_size"][m]).of(m, found["num_frames"][m])
            if m in found["image_size"]
            else items.clip().of(m)
            for m in found["modalities"]
        }
        heard = hearing_lib.Hearing()
    else:
        each = {m: items.from_facts(spec) for m, spec in found["items"].items()}
        heard = hearing_lib.from_facts(found["hearing"])
    decided = found.get("decisions")
    return Facts(
        found["format"],
        each,
        found["embedding_space"],
        heard,
        tuple(found["classes"]),
        found["localizes"],
        found.get("files", {}),
        found.get("threshold"),
        found.get("temperature"),
        decisions_lib.read(decided, found["embedding_space"]) if decided else None,
        spaces.told(found),
        found.get("embedding_size", {}),
    )


# Seals -------------------------------------------------------------------------------------------


def sealable(facts: Mapping[str, Any]) -> bytes:
    """Returns facts as JSON with room for a seal, for what `seal` is given."""
    return json.dumps({**facts, "sha256": _BLANK}, indent=2).encode()


def seal(content: bytes, text: bytes) -> bytes:
    """Returns `content`, which holds `text` of `sealable` once, with its own hash in it.

    The hash is that of the content in which the hash itself is all zeros.
    """
    digest = hashlib.sha256(content).hexdigest()
    return content.replace(text, text.replace(_BLANK.encode(), digest.encode()))


def sealed(facts: Mapping[str, Any]) -> bool:
    """Says whether there is a seal to check: artefacts of older versions have none."""
    return "sha256" in facts


def check_seal(content: bytes, text: bytes, facts: Mapping[str, Any]) -> None:
    """Refuses content that is not what was sealed.

    Args:
      content: of the artefact.
      text: the facts in it, as bytes.
      facts: the same, read.

    Raises:
      ValueError: it has changed.
    """
    digest = str(facts["sha256"])
    blank = content.replace(text, text.replace(digest.encode(), _BLANK.encode()))
    if hashlib.sha256(blank).hexdigest() != digest:
        raise ValueError("its bytes are not those that were written")


def check_files(folder: str, expected: Mapping[str, str]) -> None:
    """Refuses a folder in which a file is missing or has another hash.

    Args:
      folder: of a SavedModel.
      expected: path in it to SHA-256.

    Raises:
      ValueError: names the first that is not as it should be.
    """
    for name, digest in expected.items():
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            raise ValueError(f"{name} is missing")
        if files.sha256(path) != digest:
            raise ValueError(f"the bytes of {name} are not those that were written")


# What was published together ---------------------------------------------------------------------


class Parity(NamedTuple):
    """A `parity.json`.

    Attributes:
      path: of the file.
      content: all it says.
    """

    path: str
    content: dict[str, Any]

    def files(self, artefact: str) -> dict[str, str]:
        """Returns path in the export's folder to SHA-256, of an artefact that it names."""
        found = self.content["artefacts"].get(artefact)
        return {} if found is None else {n: x["sha256"] for n, x in found["files"].items()}

    def signatures(self) -> set[str]:
        """Returns the names of the signatures of all artefacts."""
        return {s for its in self.content["artefacts"].values() for s in its.get("signatures", ())}

    def check(self, artefact: str) -> None:
        """Refuses an artefact whose files are not those that were published with this file.

        Args:
          artefact: a version folder or a `.tflite` in the same folder. One that is not named, as an
            older version is not, passes.

        Raises:
          UserError: that.
        """
        folder = os.path.dirname(self.path)
        try:
            check_files(folder, self.files(artefact))
        except ValueError as error:
            killed = os.path.exists(os.path.join(folder, JOURNAL_FILE))
            reason = "an export was interrupted there" if killed else "it was damaged or replaced"
            raise registry.UserError(
                f"{os.path.join(folder, artefact)} is not what {self.path} was written for "
                f"({error}): {reason}, export again."
            ) from error


def read_parity(folder: str) -> Parity | None:
    """Returns the `parity.json` of an export's folder; None where there is none.

    Raises:
      UserError: it is damaged, changed, or not of our making.
    """
    path = os.path.join(folder, PARITY_FILE)
    if not os.path.lexists(path):
        return None
    fix = "export again, or move it away if it is not of tfav's making"
    content = states.read(path, _PARITY_FORM, fix)
    if not content["artefacts"]:  # no export is without one
        raise registry.UserError(f"{path} is damaged (artefacts is empty): {fix}.")
    return Parity(path, content)


# Names -------------------------------------------------------------------------------------------


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


def modality_of(signature: str, modalities: Mapping[str, Any]) -> str | None:
    """Returns the modality that a signature embeds, of a ladder of lengths too; None: no one's."""
    found = re.fullmatch(r"embed_(.+?)(_[0-9.]+s)?", signature)
    return next((m for m in modalities if found and m in (found[1], signature[6:])), None)
