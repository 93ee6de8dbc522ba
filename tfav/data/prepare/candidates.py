"""Who may meet in a query list that is drawn: the probes and candidates of one split."""

import collections
from collections.abc import Iterator, Sequence

import numpy as np

from tfav.data import shards


class Pool:
    """Probes and candidates of the identities that have both, as integer arrays.

    Args:
      rows: of one split.
      probe: modality of the probes.
      gallery: modality of the candidates.
    """

    def __init__(self, rows: shards.Index, probe: str, gallery: str):
        self._rows = rows
        probe_id, probe_label = _items(rows, probe)
        self._whole_gallery = gallery_id, gallery_label = _items(rows, gallery)
        self.labels = np.intersect1d(probe_label, gallery_label)
        kept = np.isin(probe_label, self.labels)
        self.probe_id = probe_id[kept]
        self.probe_person = np.searchsorted(self.labels, probe_label[kept])
        kept = np.isin(gallery_label, self.labels)
        person = np.searchsorted(self.labels, gallery_label[kept])
        self.gallery_id = gallery_id[kept][np.argsort(person, kind="stable")]
        self.count = np.bincount(person, minlength=len(self.labels))
        self.start = np.cumsum(self.count) - self.count

    def groups(self, shared: Sequence[str]) -> tuple[list[np.ndarray], str | None]:
        """Returns the sets of people who may meet, or what stands in the way.

        Args:
          shared: columns of the data in which they must agree; none: everybody may meet.
        """
        if not shared:
            return [np.arange(len(self.labels))], None
        names = [""] * len(self.labels)
        for column in shared:
            values = _values(self._rows, column)
            for place, label in enumerate(self.labels.tolist()):
                if len(values[label]) != 1 or not max(values[label]):
                    found = " and ".join(sorted(map(repr, values[label])))
                    return [], f"the {column} of {label!r} is {found}"
                names[place] += ", " * bool(names[place]) + max(values[label])
        if len(set(names)) < 2:
            what = " and ".join(shared)
            return [], f"all its identities have the {what} {', '.join(set(names))!r}"
        of_person = np.array(names)
        return [np.flatnonzero(of_person == name) for name in np.unique(of_person)], None

    def galleries(self, groups: Sequence[np.ndarray], shared: Sequence[str]) -> Iterator[list[str]]:
        """Yields the probes of each group, and then its gallery.

        A gallery holds the items of all identities, also of those without a probe, that agree with
        the group in the columns `shared`.
        """
        ids, labels = self._whole_gallery
        values = [_values(self._rows, column) for column in shared]
        of_item = [[its.get(label) for its in values] for label in labels.tolist()]
        for group in groups:
            yield self.probe_id[np.isin(self.probe_person, group)].tolist()
            own = [its.get(self.labels[group[0]].item()) for its in values]
            yield [item for item, its in zip(ids.tolist(), of_item) if its == own]

    def match(
        self, rng: np.random.Generator, groups: Sequence[np.ndarray], n: int, repeats: int
    ) -> np.ndarray:
        """Returns [queries, 1 + n] ids: probe, right one, wrong ones; in the probes' order."""
        probe = np.repeat(np.arange(len(self.probe_id)), repeats)
        people = np.empty((len(probe), n), dtype=np.int64)
        people[:, 0] = self.probe_person[probe]
        for group in groups:
            urn = self.probe_person[np.isin(self.probe_person, group)]
            rows = np.flatnonzero(np.isin(people[:, 0], group))
            for slot in range(1, n):
                open_rows = rows
                while len(open_rows):  # draw again where the identity is in the query already
                    drawn = urn[rng.integers(len(urn), size=len(open_rows))]
                    people[open_rows, slot] = drawn
                    again = (people[open_rows, :slot] == drawn[:, None]).any(axis=1)
                    open_rows = open_rows[again]
        candidate = self.start[people] + rng.integers(self.count[people])
        return np.concatenate([self.probe_id[probe][:, None], self.gallery_id[candidate]], axis=1)


def _items(rows: shards.Index, modality: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns id and label of the rows that have `modality`."""
    has = rows.held(modality)
    return rows.id[has], rows.label[has]


def _values(rows: shards.Index, column: str) -> dict[str, set[str]]:
    """Returns what the rows of each identity name in a column."""
    found = collections.defaultdict(set)
    for label, value in zip(rows.label.tolist(), rows.extra[column].tolist()):
        found[label].add(value)
    return found
