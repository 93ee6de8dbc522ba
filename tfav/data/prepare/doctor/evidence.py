"""What findings are made of: rows, what was measured of them, and what could not be used."""

import collections
import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfav import tensors
from tfav.data.prepare import manifest, records, tally
from tfav.data.prepare.doctor import alike
from tfav.data.prepare.settings import Settings

SHOWN = 20  # rows that a finding names
TRAIN, VAL, TEST = "train", "val", "test"
# Least correlation of outlines that are called alike.
ALIKE = {"audio": 0.975, "image": 0.985}
_LENGTH = {"audio": "num_heard"}  # column of `looks.ROW`
_SAME_LENGTH = 0.05  # clips that are alike differ in length by no larger share
_GROUP = re.compile(
    r"(^|_)(speaker|subject|actor|singer|person|identity|writer|user|recording|video|file|"
    r"session|scene|youtube)(_|$)"
)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Everything that is known of the files.

    Attributes:
      rows: N rows, split by split.
      table: [N] of `looks.ROW`; zeros of rows that cannot be used.
      formats: N descriptions of the sound files, empty where there is none.
      bad: rows that cannot be used.
      report: what `Tally.report` says.
      settings: how the rows would become a data set.
      missing: items of the given lists that no usable row has.
      num_listed: items of the given lists.
    """

    rows: Sequence[manifest.Row]
    table: np.ndarray
    formats: Sequence[str]
    bad: Sequence[records.BadRow]
    report: Mapping[str, Any]
    settings: Settings
    missing: Sequence[str]
    num_listed: int

    @functools.cached_property
    def split(self) -> np.ndarray:
        """Split of each row, [N] of str."""
        return _texts(row.split for row in self.rows)

    @functools.cached_property
    def label(self) -> np.ndarray:
        """Label of each row, [N] of str."""
        return _texts(row.label for row in self.rows)

    @functools.cached_property
    def usable(self) -> np.ndarray:
        """Which rows can be used, [N] bool."""
        bad = {row.id for row in self.bad}
        return np.array([row.id not in bad for row in self.rows], bool)

    @property
    def splits(self) -> list[str]:
        """The splits with usable rows, but for held-out ones, in order."""
        return [s for s in self.report["splits"] if s != tally.HELDOUT]

    @property
    def seconds(self) -> np.ndarray:
        """Length of each clip, [N]; 0 where there is none."""
        return self.table["num_samples"] / tensors.SAMPLE_RATE_HZ

    def has(self, modality: str) -> np.ndarray:
        """Returns which rows hold audio or an image, [N] bool."""
        return self.table[modality]

    def column(self, name: str) -> np.ndarray:
        """Returns a further column, [N] of str, empty where a row lacks it."""
        return _texts(row.extra.get(name, "") for row in self.rows)

    def group_columns(self) -> list[str]:
        """Returns the further columns whose names say that they tell who or what was recorded."""
        names = dict.fromkeys(name for row in self.rows for name in row.extra)
        return [name for name in names if _GROUP.search(name.lower())]

    def named(self, places: Iterable[int], what: Iterable[str]) -> list[tuple[str, str]]:
        """Returns the first rows of some, each with what is told of it."""
        found = zip(places, what)
        return [(self.rows[place].id, text) for place, text in [*found][:SHOWN]]

    def shared(self, values: np.ndarray, chosen: np.ndarray) -> dict[str, list[str]]:
        """Returns "train, test" to the values that usable rows of both splits have.

        Args:
          values: [N] of each row.
          chosen: [N] bool, which rows count.
        """
        of_split = {
            split: set(values[chosen & self.usable & (self.split == split)].tolist())
            for split in self.splits
        }
        found = {}
        for number, one in enumerate(self.splits):
            for other in self.splits[number + 1 :]:
                both = of_split[one] & of_split[other]
                if both:
                    found[f"{one}, {other}"] = sorted(both)
        return found

    def copies(self, modality: str, across: str) -> list[tuple[int, int]]:
        """Returns pairs of rows whose decoded content is the same and whose group is not.

        Args:
          modality: `audio` or `image`.
          across: `split`, or `label`: rows of one split under two labels.
        """
        group, split = self._groups(across), self._groups("split")
        places = np.flatnonzero(self.has(modality) & (self.split != tally.HELDOUT))
        digest = self.table[f"{modality}_digest"][places]
        _, number, count = np.unique(digest, return_inverse=True, return_counts=True)
        found = []
        first: dict[tuple[int, int], list[int]] = {}  # the first rows of the first two groups
        for place, content in zip(places[count[number] > 1], number[count[number] > 1]):
            # Rows of two labels are a mistake within a split, and a copy across splits.
            key = int(content), int(split[place]) if across == "label" else -1
            rows = first.setdefault(key, [])
            others = [row for row in rows if group[row] != group[place]]
            if others:
                found.append((others[0], int(place)))
            if len(rows) < 2 and (not rows or others):
                rows.append(int(place))
        return found

    def near_copies(self, modality: str) -> tuple[list[tuple[int, int, float]], int]:
        """Returns pairs of rows of two splits that are alike and no exact copies, closest first.

        Args:
          modality: `audio` or `image`.

        Returns:
          (place, place, correlation) each, and how many rows were compared with a part alone.
        """
        places = np.flatnonzero(self.has(modality) & (self.split != tally.HELDOUT))
        digest = self.table[f"{modality}_digest"][places]
        keys = np.stack([digest, self._groups("split")[places].astype(np.uint64)], axis=1)
        places = places[np.sort(np.unique(keys, axis=0, return_index=True)[1])]
        result = alike.find(
            self.table[f"{modality}_outline"][places],
            self._groups("split")[places],
            ALIKE[modality],
        )
        pairs: dict[tuple[int, int], float] = {}
        for at in np.flatnonzero(result.partner >= 0):
            one, other = sorted((int(places[at]), int(places[result.partner[at]])))
            if self._is_near(modality, one, other):
                pairs[one, other] = float(result.similarity[at])
        ordered = sorted(pairs.items(), key=lambda pair: -pair[1])
        return [(*pair, value) for pair, value in ordered], result.num_skipped

    def _is_near(self, modality: str, one: int, other: int) -> bool:
        table = self.table
        if table[f"{modality}_digest"][one] == table[f"{modality}_digest"][other]:
            return False
        if modality not in _LENGTH:
            return True
        less, more = sorted(table[_LENGTH[modality]][[one, other]].tolist())
        return more - less <= _SAME_LENGTH * more

    def _groups(self, name: str) -> np.ndarray:
        """Returns the number of each row's split or label, [N]."""
        return np.unique(getattr(self, name), return_inverse=True)[1]

    def histogram(
        self, values: np.ndarray, chosen: np.ndarray, edges: Sequence[float] | np.ndarray
    ) -> dict[str, list[int]]:
        """Returns the counts between edges of the chosen rows, split by split."""
        return {
            split: np.histogram(values[chosen & (self.split == split)], edges)[0].tolist()
            for split in self.splits
        }

    def counts(self, values: np.ndarray, chosen: np.ndarray, names: Sequence[str]) -> dict:
        """Returns how many of the chosen rows have each value, split by split."""
        found = {}
        for split in self.splits:
            count = collections.Counter(values[chosen & (self.split == split)].tolist())
            found[split] = [count[name] for name in names]
        return found


def _texts(values: Iterable[str]) -> np.ndarray:
    """Returns [N] objects: in an array of text each would take the room of the longest."""
    return np.array([*values, None], object)[:-1]
