"""What is checked of rows before anything is decoded, and in which order they are written."""

import collections
import dataclasses
import fnmatch
import os
from collections.abc import Sequence

from tfav import items, registry
from tfav.annotations import list_folder
from tfav.data import kinds
from tfav.data.prepare import identities, manifest, queries, tally
from tfav.data.prepare.settings import Settings
from tfav.media import array_tables, bad_file

# What `dataset.prepare` writes, and what desktops and file servers leave anywhere.
_WRITTEN = ("dataset.json", "index.csv", "report.json", "bad_rows.csv", "*-of-?????.tfrecord")
_LISTS = "lists"
_OF_THE_SYSTEM = (".DS_Store", "._*", ".nfs*")


def check_output(output: str, overwrite: bool) -> None:
    """Checks that a data set may be written to `output`.

    Raises:
      UserError: something is there, and `overwrite` is off or it is no data set, or holds more,
        such as query lists of the user's.
    """
    if not os.path.lexists(output) or (os.path.isdir(output) and not os.listdir(output)):
        return
    if not overwrite:
        raise registry.UserError(
            f"--output={output} exists: name another folder, or pass --overwrite to replace it "
            "once the new data set is complete."
        )
    if not os.path.exists(os.path.join(output, "dataset.json")):
        raise registry.UserError(
            f"--output={output} is no prepared data set, so --overwrite does not delete it: name "
            "another folder."
        )
    added = [name for name in _names(output, _WRITTEN) if name != _LISTS]
    lists = os.path.join(output, _LISTS)
    if os.path.isdir(lists):
        known = list_folder.hashed(lists)
        added += [os.path.join(_LISTS, name) for name in _names(lists, known)]
    for name in added:
        raise registry.UserError(
            f"--output={output} holds {name}, which prepare has not written, so --overwrite "
            "does not delete it: move it away, or name another folder."
        )


def _names(folder: str, patterns: Sequence[str]) -> list[str]:
    """Returns the names in a folder that fit none of some patterns."""
    usual = (*patterns, *_OF_THE_SYSTEM)
    return [
        name
        for name in sorted(os.listdir(folder))
        if name not in patterns and not any(fnmatch.fnmatchcase(name, p) for p in usual)
    ]


def check_rows(rows: Sequence[manifest.Row], source: str) -> None:
    """Checks what a source lists, which may be code of the user's.

    Raises:
      UserError: no list of rows, or an empty one.
    """
    strange = [rows] if not isinstance(rows, (list, tuple)) else rows
    strange = [row for row in strange if not isinstance(row, manifest.Row)]
    if strange:
        raise registry.UserError(
            f"the source {source!r} lists a {type(strange[0]).__name__}: let it return a list of "
            "tfav.data.prepare.manifest.Row."
        )
    if not rows:
        raise registry.UserError(f"the source {source!r} lists no rows: nothing to do.")


def check_inside(rows: Sequence[manifest.Row], output: str) -> None:
    """Refuses to replace a folder that holds files to be read."""
    inside = os.path.realpath(output) + os.sep
    for path in (path for row in rows for path in row.paths):
        if os.path.realpath(path).startswith(inside):
            raise registry.UserError(
                f"--output={output} holds {path}, which is to be read: name another folder."
            )


def arrange(
    rows: Sequence[manifest.Row], settings: Settings
) -> tuple[list[manifest.Row], dict[str, queries.Given]]:
    """Checks what can be checked at once; returns the rows split by split, and the given lists.

    A row of the training split that a given list names goes to the split `heldout`.

    Raises:
      UserError: a setting out of range or without use, an id twice, or a modality of two kinds.
    """
    settings.check()
    frames = {"derive": ",".join(settings.derive), "fps": settings.fps}
    frames["num_frames"] = settings.num_frames if settings.num_frames != 1 else 0
    for flag, value in frames.items():
        if value and not any(row.video for row in rows):
            raise registry.UserError(
                f"--{flag}={value} needs videos, and the source {settings.source!r} names none: "
                "drop the flag or add a column 'video'."
            )
    _check_kinds(rows)
    twice = [x for x, n in collections.Counter(row.id for row in rows).items() if n > 1]
    if twice:
        raise registry.UserError(f"the id {twice[0]!r} is given twice: every row needs its own.")
    given = queries.read_given(settings.lists) if settings.lists else {}
    named = set(queries.named(given))
    rows = [
        dataclasses.replace(row, split=tally.HELDOUT)
        if row.split == "train" and row.id in named
        else row
        for row in identities.unified(rows)
    ]
    order = {split: rank for rank, split in enumerate(dict.fromkeys(row.split for row in rows))}
    order |= {tally.HELDOUT: len(order)}
    return sorted(rows, key=lambda row: order[row.split]), given


def _check_kinds(rows: Sequence[manifest.Row]) -> None:
    """Raises UserError where a modality is of two kinds, or called as something of another."""
    kind_of: dict[str, str] = {}
    for row in rows:
        for name in row.further:
            kind = row.kinds.get(name, kinds.IMAGE.name)
            if kind_of.setdefault(name, kind) != kind:
                raise registry.UserError(
                    f"the row {row.id!r} has {name} of the kind {kind} and an earlier one of "
                    f"{kind_of[name]}: give all rows of a source the same."
                )
    plain = {m for m in manifest.MODALITIES if any(getattr(row, m) for row in rows)}
    if wrong := items.clash(plain | kind_of.keys()):
        raise registry.UserError(f"the rows hold both, and {wrong}: rename one of the two.")


def vector_spaces(rows: Sequence[manifest.Row]) -> dict[str, str]:
    """Returns modality to the id of the embedding space of its vectors, where tables name one.

    Raises:
      UserError: vectors of one modality are of two. Those of two modalities may be: each has an
        encoder of its own.
    """
    first: dict[str, tuple[str, str]] = {}  # modality to a file and its space
    array = kinds.ARRAY.name
    given = [(m, path) for row in rows for m, path in row.others.items() if row.kinds[m] == array]
    tables = ((m, array_tables.split(path)) for m, path in given)
    for modality, file, own in dict.fromkeys(
        (m, at.file, at.modality) for m, at in tables if at.id
    ):
        try:
            space = array_tables.read(file, own or modality).space
        except bad_file.BadFile:
            continue  # who reads the rows names them
        other, its = first.setdefault(modality, (file, space)) if space else ("", space)
        if its != space:
            raise registry.UserError(
                f"{file} is of the embedding space {space} and {other} of {its}, and both are "
                f"{modality}: embed all of a modality with one model."
            )
    return {modality: space for modality, (_, space) in first.items()}
