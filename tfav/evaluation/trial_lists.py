"""Trial lists: what their lines hold, and which rows of a data set they name."""

import csv
import math
import os
import posixpath
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tfav import files, registry


class Trials(NamedTuple):
    """The trials of a list.

    Attributes:
      label: [T] bool, whether both items are of one speaker.
      first: T names of items, without a leading slash.
      second: T names of items, without a leading slash.
    """

    label: np.ndarray
    first: list[str]
    second: list[str]


def read(path: str | os.PathLike) -> Trials:
    """Reads a trial list, gzipped or not.

    A line is `label,item1,item2` or, as VoxCeleb publishes them, the same three with blanks
    between; the label is 1 (one speaker) or 0. A first line with another label is a header.

    Raises:
      UserError: the file cannot be read, a line is malformed or contradicts another one, or there
        is no trial.
    """
    try:
        lines = files.content(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise registry.UserError(
            f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8."
        ) from error
    found = []
    said: dict[tuple[str, ...], tuple[str, int]] = {}
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    for place, (number, line) in enumerate(numbered):
        cells = next(csv.reader([line])) if "," in line else line.split()
        cells = [cell.strip() for cell in cells]
        if len(cells) != 3 or not all(cells):
            raise registry.UserError(
                f"{path} line {number} has {len(cells)} cells, expected three: label, item, item."
            )
        if cells[0] in ("0", "1"):
            label, before = said.setdefault(_pair(*cells[1:]), (cells[0], number))
            if label != cells[0]:
                raise registry.UserError(
                    f"{path} line {number} says {cells[0]} of {cells[1]} and {cells[2]}, and line "
                    f"{before} says {label} of the same two: correct one of them."
                )
            found.append(cells)
        elif place:
            raise registry.UserError(
                f"{path} line {number} has the label {cells[0]!r}: write 1 for one speaker or 0."
            )
    if not found:
        raise registry.UserError(f"{path} holds no trial: expected lines of label,item1,item2.")
    labels, *names = zip(*found)
    first, second = ([name.lstrip("/") for name in column] for column in names)
    return Trials(np.array(labels) == "1", first, second)


def _pair(first: str, second: str) -> tuple[str, ...]:
    """Returns what a trial compares, whichever item comes first."""
    return tuple(sorted((first.lstrip("/"), second.lstrip("/"))))


class Rows:
    """Finds the rows of a data set that trial lists name.

    An item is the row of that id, a leading slash aside, or else the only row whose id is the same
    without its ending (`x/y/1.wav` is `x/y/1.mp4`).

    Args:
      ids: N rows of the data set.

    Raises:
      ValueError: an id comes twice.
    """

    def __init__(self, ids: Sequence[str]):
        self._exact = {name.lstrip("/"): row for row, name in enumerate(ids)}
        if len(self._exact) < len(ids):
            raise ValueError(f"{len(ids) - len(self._exact)} of {len(ids)} ids come twice.")
        self._stems: dict[str, list[int]] = {}
        for name, row in self._exact.items():
            self._stems.setdefault(posixpath.splitext(name)[0], []).append(row)

    def find(self, names: Iterable[str]) -> dict[str, int]:
        """Returns name to row; -1 where there is none."""
        found = {}
        for name in dict.fromkeys(names):
            alike = self._stems.get(posixpath.splitext(name)[0], [])
            found[name] = self._exact.get(name, alike[0] if len(alike) == 1 else -1)
        return found


def rows(
    path: str | os.PathLike, trials: Trials, ids: Sequence[str], max_missing_fraction: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Returns the row of either item of each trial, [T] int each, -1 if unknown, and notes.

    Args:
      path: Path of the list, for the messages.
      trials: Trials of that list.
      ids: N rows of the data set.
      max_missing_fraction: Largest share of the listed items that may be unknown.

    Raises:
      UserError: more items are unknown.
      ValueError: an id comes twice.
    """
    row_of = Rows(ids).find([*trials.first, *trials.second])
    missing = [name for name, row in row_of.items() if row < 0]
    first, second = (np.array([row_of[n] for n in side]) for side in (trials.first, trials.second))
    # The other way round a pair may be another comparison: its audio with the other's image.
    repeats = len(first) - len(set(zip(trials.first, trials.second)))
    notes = []
    if repeats:
        notes.append(
            f"{os.path.basename(path)}: {repeats} of its {len(first)} trials repeat an earlier one "
            "and count again."
        )
    if not missing:
        return first, second, notes
    text = (
        f"{len(missing)} of its {len(row_of)} items are not in the data "
        f"(first: {', '.join(missing[:3])})"
    )
    if len(missing) > math.floor(max_missing_fraction * len(row_of) + 1e-9):
        raise registry.UserError(
            f"{path}: {text}, more than the {100 * max_missing_fraction:g} % that may be missing: "
            "use a list made for this data set, or prepare the data set with these items."
        )
    lost = int(((first < 0) | (second < 0)).sum())
    note = f"{text}; {lost} of {len(first)} trials that name them are left out."
    return first, second, [*notes, f"{os.path.basename(path)}: {note}"]
