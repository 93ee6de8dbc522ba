"""Any data set: a CSV file that the user wrote."""

import os
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from tfav import items, registry, tensors
from tfav.data import kinds as kinds_lib
from tfav.data import shards
from tfav.data.prepare import csv_files, manifest

_MODALITY = re.compile(r"[a-z][a-z0-9_]*")
# What batches, records, reports and exports call something else.
_TAKEN = (
    *manifest.REQUIRED,
    *manifest.FILES,
    *shards.COLUMNS,
    shards.FRAMES,
    "labels",
    "rows",
    "identities",
    "hours",
    tensors.SKIPPED,
    *items.RESERVED,
)


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns the rows of `options.manifest`.

    Raises:
      UserError: no path given, or see `read`.
    """
    if not options.manifest:
        raise registry.UserError(
            "--source=manifest needs --manifest=FILE.csv with the columns id, split, label, and "
            "audio, image or video."
        )
    return read(options.manifest, options.columns, options.modalities)


def read(
    path: str | os.PathLike, columns: Sequence[str] | None = None, modalities: Sequence[str] = ()
) -> list[manifest.Row]:
    """Reads a manifest: CSV with the columns `id, split, label` and one or more that name files.

    Args:
      path: of the CSV file; relative paths in it start from its folder.
      columns: names of the further columns to carry; None carries all.
      modalities: columns of further modalities beside `audio`, `image` and `video`: `NAME` of
        images, or `NAME=KIND` with a row of `data.kinds.KINDS` or a dotted path.

    Raises:
      UserError: as `csv_files.read`; an unknown or reserved column; an unknown kind; an empty
        cell, a duplicate id, an id with white space, a split that is not a word, a row without any
        file.
    """
    path = os.fspath(path)
    lines = read_lines(path)
    header = list(lines[0][1])
    _check_modalities(path, header, modalities)
    kind_of = _kinds(modalities)
    files = [name for name in dict.fromkeys((*manifest.FILES, *kind_of)) if name in header]
    if not files:
        raise registry.UserError(
            f"{path} has neither a column 'audio' nor a column 'image' nor a column 'video': add "
            "one with the paths of the files."
        )
    further = [name for name in header if name not in (*manifest.REQUIRED, *files)]
    reserved = [x for x in further if x in shards.COLUMNS or x.startswith(shards.FRAMES)]
    if reserved:
        raise registry.UserError(
            f"{path} has a column {reserved[0]!r}, a name that the index uses itself: rename it."
        )
    unknown = [name for name in columns or () if name not in further]
    if unknown:
        raise registry.UserError(
            f"unknown column {unknown[0]!r} in --columns: beside "
            f"{', '.join((*manifest.REQUIRED, *files))} {path} has {', '.join(further) or 'none'}."
        )
    carried = further if columns is None else list(columns)
    folder = os.path.dirname(os.path.abspath(path))
    found: list[manifest.Row] = []
    for number, cells in lines:
        where = f"{path} line {number}"
        if not any(cells[name] for name in files):
            raise registry.UserError(
                f"{where} (id {cells['id']!r}) names no file: fill in {' or '.join(files)} or drop "
                "the row."
            )
        paths: dict[str, Any] = {
            name: _existing(folder, cells[name]) for name in files if cells[name]
        }
        row = manifest.Row(
            id=cells["id"],
            split=cells["split"],
            label=cells["label"],
            extra={name: cells[name] for name in carried},
            further={name: (paths.pop(name),) for name in kind_of if name in paths},
            kinds={name: kind for name, kind in kind_of.items() if kind and cells[name]},
            **paths,
        )
        manifest.check_words(row, where)
        found.append(row)
    return found


def read_lines(path: str | os.PathLike) -> list[tuple[int, dict[str, str]]]:
    """Returns the lines of a manifest, as `csv_files.read` does.

    Raises:
      UserError: as `csv_files.read`; an empty id, split or label, or an id that another line has.
    """
    lines = csv_files.read(path, manifest.REQUIRED)
    seen: dict[str, int] = {}
    for number, cells in lines:
        where = f"{path} line {number}"
        for name in manifest.REQUIRED:
            if not cells[name]:
                raise registry.UserError(f"{where} has an empty {name!r}: fill it in.")
        if cells["id"] in seen:
            raise registry.UserError(
                f"{where} repeats the id {cells['id']!r} of line {seen[cells['id']]}: "
                "every row needs an id of its own."
            )
        seen[cells["id"]] = number
    return lines


def _existing(folder: str, cell: str) -> str:
    """Returns the path that a cell names; where it is not there, that of another spelling.

    An accented letter is one character (NFC) or a letter and its accent (NFD): a spreadsheet writes
    the one, and some file systems keep the other.
    """
    path = os.path.join(folder, cell)
    if cell.isascii() or os.path.exists(path):
        return path
    others = (os.path.join(folder, unicodedata.normalize(form, cell)) for form in ("NFC", "NFD"))
    return next(filter(os.path.exists, others), path)


def _check_modalities(path: str, header: Sequence[str], modalities: Sequence[str]) -> None:
    """Raises UserError unless every one of --modalities is a column that may hold one."""
    for name, kind in _kinds(modalities).items():
        check_name(name, f"--modalities={','.join(modalities)}", kind)
        if name not in header:
            raise registry.UserError(
                f"--modalities={','.join(modalities)}: {path} has no column {name!r}; its header "
                f"is {','.join(header)!r}."
            )


def check_name(name: str, where: str, kind: str = kinds_lib.ARRAY.name) -> None:
    """Refuses what cannot be the name of a modality.

    Args:
      name: of the modality; `audio` and `image` of another kind than they usually have are names.
      where: who gives it, for messages.
      kind: of the modality; empty: images.

    Raises:
      UserError: it is taken, or no name.
    """
    if kind and name in manifest.MODALITIES:
        return
    if name in _TAKEN or not _MODALITY.fullmatch(name):
        raise registry.UserError(
            f"{where}: {name!r} cannot be the name of a further modality; use small letters, "
            f"digits and '_', and none of {', '.join(dict.fromkeys(_TAKEN))}."
        )


def _kinds(modalities: Sequence[str]) -> dict[str, str]:
    """Returns name to kind of what --modalities names; empty: images.

    Raises:
      UserError: an unknown kind, or one that a further modality cannot have.
    """
    found = {}
    for text in modalities:
        name, _, kind = text.partition("=")
        if kind and kinds_lib.find(kind) is kinds_lib.AUDIO:
            raise registry.UserError(
                f"--modalities={text}: the column `audio` alone holds audio; choose another kind."
            )
        found[name] = "" if kind == kinds_lib.IMAGE.name else kind
    return found
