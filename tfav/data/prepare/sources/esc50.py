"""ESC-50: 2000 recordings of environmental sounds, 5 s each, 50 classes, five official folds.

`--root` holds `meta/esc50.csv` and `audio/*.wav`, as unpacked; a table elsewhere (or one of another
name with the same columns) is named in `--split_csv`. `--subset=esc10` takes the ten classes of
ESC-10.

What counts is the column `fold`: a linear probe tests every fold once. Where train and test are
asked for, fold `--split_number` is `test` and the others are `train`. Class order: the numbers of
the column `target`.
"""

import os

from tfav import registry
from tfav.data.prepare import csv_files, manifest
from tfav.data.prepare.sources import parts

NAME = "esc50"
FOLDS = 5
_COLUMNS = ("filename", "fold", "target", "category", "src_file")
_SUBSETS = ("", "esc10")


def rows(options: manifest.Options) -> list[manifest.Row]:
    """Returns one row a clip; the further columns are `fold`, `clip` and `recording`.

    A recording is the upload that clips were cut from. `--val_fraction` holds that share of the
    training recordings of each class out, as `val`.

    Raises:
      UserError: a folder, table or flag does not fit, or a recording lies in two folds.
    """
    root = parts.folder(options.root, NAME, "root", ["audio"])
    if options.subset not in _SUBSETS:
        raise registry.UserError(
            f"--subset={options.subset} is no part of {NAME}: give esc10, or leave it out for all."
        )
    tested = str(parts.fold(options, FOLDS))
    carried = parts.columns(options, ("fold", "clip", "recording"), NAME)
    path = (*options.split_csv, os.path.join(root, "meta", "esc50.csv"))[0]
    needed = (*_COLUMNS, "esc10") if options.subset else _COLUMNS
    lines = csv_files.read(path, needed)
    if options.subset:
        lines = [(n, cells) for n, cells in lines if cells["esc10"].lower() == "true"]
    _check(path, lines, tested)
    recordings = {c["src_file"]: c["category"] for _, c in lines if c["fold"] != tested}
    held_out = parts.carve(recordings, options)
    found = []
    for _, cells in lines:
        name, recording = cells["filename"], cells["src_file"]
        clip = os.path.splitext(name)[0]
        extra = {"fold": cells["fold"], "clip": clip, "recording": recording}
        training = "val" if recording in held_out else "train"
        found.append(
            manifest.Row(
                id=clip,
                split="test" if cells["fold"] == tested else training,
                label=cells["category"],
                audio=os.path.join(root, "audio", name),
                extra={name: extra[name] for name in carried},
            )
        )
    numbers = {cells["category"]: int(cells["target"]) for _, cells in lines}
    return parts.ordered(found, sorted(numbers, key=numbers.__getitem__))


def _check(path: str, lines: list[tuple[int, dict[str, str]]], tested: str) -> None:
    """Raises UserError for cells that cannot be, no such fold, or a recording in two folds."""
    home: dict[str, tuple[str, int]] = {}
    for number, cells in lines:
        empty = [name for name in _COLUMNS if not cells[name]]
        if empty or not (cells["fold"].isdecimal() and cells["target"].isdecimal()):
            raise registry.UserError(
                f"{path} line {number} is {','.join(cells.values())!r}: give every cell of "
                f"{', '.join(_COLUMNS)}, with numbers as fold and target."
            )
        if os.path.basename(cells["filename"]) != cells["filename"]:
            raise registry.UserError(
                f"{path} line {number}: filename is {cells['filename']!r}, which is no name of a "
                "file in the folder audio."
            )
        fold, first = home.setdefault(cells["src_file"], (cells["fold"], number))
        if fold != cells["fold"]:
            raise registry.UserError(
                f"{path} lines {first} and {number}: the recording {cells['src_file']} lies in the "
                f"folds {fold} and {cells['fold']}, so a test would hear what was trained on: give "
                "the official folds."
            )
    folds = sorted({fold for fold, _ in home.values()})
    if len(folds) < 2 or tested not in folds:
        raise registry.UserError(
            f"{path} has the folds {', '.join(folds) or 'none'} and --split_number={tested} is to "
            "be the test: give the official folds, two or more."
        )
