"""Where a command may write: over its own output, and over nothing else."""

import fnmatch
import json
import os
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from tfav import registry

_HTML = b'<meta name="generator" content="tfav-report">'
_HEAD_BYTES = 4096
_BAD_ROWS = b"id,column,file,reason"
_FILM = b"made by tfav-report"
_FILM_HEAD_BYTES = 2**22  # what tells of a film comes before its pictures


class Folder(NamedTuple):
    """A kind of folder that a command makes.

    Attributes:
      words: what it is.
      marks: names of the files of which any tells that it is one, to the fields that the file must
        hold as JSON; without fields the name alone tells.
      writes: further files that its command would replace, or patterns of their names.
      beside: kinds of which it may hold the files too.
    """

    words: str
    marks: Mapping[str, Sequence[str]]
    writes: Sequence[str] = ()
    beside: Sequence[str] = ()


# By name, for who embeds with a `.tflite` imports no TensorFlow; a test holds the names together.
FOLDERS = {
    "run": Folder("the workdir of a train run", {"config.json": ()}, beside=("figures",)),
    "data": Folder("a prepared data set", {"dataset.json": ()}),
    "export": Folder(
        "an export",
        {"parity.json": (), "publishing.json": ()},
        (
            "golden.json",
            "drift.csv",
            "labels.txt",
            "models.config",
            "batching_parameters.txt",
            "model_card.md",
            "model_card.json",
            "*.tflite",
        ),
    ),
    "comparison": Folder(
        "the tables of tfav-compare",
        {"results.json": ("about", "figures")},
        ("results.json", "table.md", "sensitivity.png"),
    ),
    "site": Folder("a site of tfav-web", {"site.json": ("format", "embedding_space")}),
    "projector": Folder("what tfav-report --tensorboard writes", {"projector_config.pbtxt": ()}),
    "figures": Folder(
        "the figures of tfav-eval", {"metrics.json": ("about", "results")}, ("metrics.json",)
    ),
}


def check_folder(flag: str, path: str, kind: str) -> None:
    """Refuses to write into a folder that another command has made.

    Args:
      flag: that names it.
      path: Path of the folder, which need not exist.
      kind: what is to be written there, a row of `FOLDERS`.

    Raises:
      UserError: it is of another kind, or holds a file that would be replaced and is not of ours.
    """
    if os.path.lexists(path) and not os.path.isdir(path):
        raise registry.UserError(f"--{flag}={path} is a file: name a folder.")
    for name, other in FOLDERS.items():
        mark = _mark(path, other)
        if mark and name != kind and name not in FOLDERS[kind].beside:
            raise registry.UserError(
                f"--{flag}={path} is {other.words} (it holds {mark}): name another folder."
            )
        if mark and name == kind:
            return
    for name in sorted(os.listdir(path)) if os.path.isdir(path) else ():
        if _is_one_of(name, FOLDERS[kind].writes):
            raise registry.UserError(
                f"--{flag}={path} holds {name} and is not {FOLDERS[kind].words}: name another "
                "folder, or move that file away."
            )


def check_replaced(flag: str, path: str, kind: str, names: Collection[str]) -> None:
    """Refuses to replace a folder as a whole that holds anything its command has not written.

    Args:
      flag: that names it.
      path: Path of the folder, which need not exist.
      kind: what is to take its place, a row of `FOLDERS`.
      names: of what the command writes into it, or patterns of them.

    Raises:
      UserError: it is not of this kind and not empty, or something was added to it.
    """
    check_folder(flag, path, kind)
    held = sorted(os.listdir(path)) if os.path.isdir(path) else []
    added = [name for name in held if not _is_one_of(name, names)]
    if held and (added or not _mark(path, FOLDERS[kind])):
        raise registry.UserError(
            f"--{flag}={path} would be replaced as a whole and holds {(added or held)[0]}, which "
            f"is no part of {FOLDERS[kind].words}: name a new folder, or move that away."
        )


def _is_one_of(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _mark(path: str, kind: Folder) -> str:
    """Returns the file by which a folder is known as of a kind; empty: it is not."""
    for name, fields in kind.marks.items():
        file = os.path.join(path, name)
        if os.path.lexists(file) and (not fields or _has(file, fields)):
            return name
    return ""


def _has(path: str, fields: Sequence[str]) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and set(fields) <= value.keys()


class File(NamedTuple):
    """A kind of file that a command writes.

    Attributes:
      words: what it is.
      suffix: the end of its name.
      ours: whether a file that is there is such a one.
    """

    words: str
    suffix: str
    ours: Callable[[str], bool]


def _is_page(path: str) -> bool:
    with open(path, "rb") as file:
        return _HTML in file.read(_HEAD_BYTES)


def _is_embeddings(path: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "embedding_space.npy" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _is_film(path: str) -> bool:
    with open(path, "rb") as file:
        return _FILM in file.read(_FILM_HEAD_BYTES)


def _is_check(path: str) -> bool:
    return _has(path, ("acceptable", "splits"))


def _is_bad_rows(path: str) -> bool:
    with open(path, "rb") as file:
        return file.readline().rstrip() == _BAD_ROWS


FILES = {
    "page": File("a page of tfav", ".html", _is_page),
    "film": File("a film of tfav-report", ".mp4", _is_film),
    "check": File("a check of tfav-prepare", ".json", _is_check),
    "bad rows": File("a list of bad rows", ".csv", _is_bad_rows),
    "embeddings": File("an output of tfav-embed", ".npz", _is_embeddings),
}


def check_file(flag: str, path: str, kind: str) -> None:
    """Refuses to write a file under the name of another kind, or over one.

    Args:
      flag: that names it.
      path: Path of the file, which need not exist.
      kind: what is to be written, a row of `FILES`.

    Raises:
      UserError: the name does not end as it must, or leads to a folder or to another kind of file.
    """
    its = FILES[kind]
    if os.path.isdir(path):
        raise registry.UserError(f"--{flag}={path} is a folder: name a file.")
    if not path.endswith(its.suffix):
        raise registry.UserError(
            f"--{flag}={path} is no {its.suffix} file, as {its.words} must be: let its name end in "
            f"{its.suffix}."
        )
    if os.path.exists(path) and os.path.getsize(path) and not its.ours(path):
        raise registry.UserError(
            f"--{flag}={path} is not {its.words}, and is not replaced: name another file."
        )
