"""The embeddings of a data set, looked up by the ids that query lists name."""

import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tfav import registry
from tfav.evaluation import cosines, retrieval

# As tfav-prepare allows of the items that given lists name.
MAX_MISSING_FRACTION = 0.01

Embeddings = Mapping[str, Mapping[str, np.ndarray]]


class Space:
    """Unit embeddings of both modalities with the identity of each.

    Args:
      embeddings: `{"audio": {id: [D]}, "image": {id: [D]}}`, any norm but zero.
      labels: `{id: identity}` of both modalities.
      max_missing_fraction: Largest share of a list's items of a modality without an embedding.

    Raises:
      UserError: an embedding is zero, NaN or infinite; names its id.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        labels: Mapping[str, str],
        max_missing_fraction: float = MAX_MISSING_FRACTION,
    ):
        self._labels = labels
        self._max_missing = max_missing_fraction
        self._row = {m: {name: i for i, name in enumerate(v)} for m, v in embeddings.items()}
        self._unit = {m: _unit(m, vectors) for m, vectors in embeddings.items()}
        names = np.unique([labels[x] for v in embeddings.values() for x in v if x in labels])
        number = {name: code for code, name in enumerate(names.tolist())}
        self._code = {
            m: np.array([number[labels[x]] if x in labels else -1 for x in v], np.int64)
            for m, v in embeddings.items()
        }

    def missing(self, path: str | os.PathLike, modality: str, ids: Iterable[str]) -> list[str]:
        """Returns the ids of a list that have no embedding, each once; trials do without them.

        Raises:
          UserError: more than the allowed fraction; names the list, how many and the first three.
        """
        row, ids = self._row.get(modality, {}), dict.fromkeys(ids)
        missing = [name for name in ids if name not in row]
        if len(missing) > math.floor(self._max_missing * len(ids) + 1e-9):
            raise self._lacking(path, modality, "embedding", missing, len(ids))
        return missing

    def rows(self, path: str | os.PathLike, modality: str, ids: Sequence[str]) -> np.ndarray:
        """Returns the numbers by which `codes` and `cosine` know the ids of a list, [len(ids)] int.

        Raises:
          UserError: ids without an embedding or without an identity; names the list, how many they
            are and the first three.
        """
        row = self._row.get(modality, {})
        found = np.fromiter(map(row.get, ids, itertools.repeat(-1)), np.int64, len(ids))
        known = {"embedding": found >= 0}
        if known["embedding"].all():
            known["identity"] = self.codes(modality, found) >= 0
        for lacking, there in known.items():
            if not there.all():
                missing = list(dict.fromkeys(itertools.compress(ids, ~there)))
                raise self._lacking(path, modality, lacking, missing, len(set(ids)))
        return found

    def vectors(self, path: str | os.PathLike, modality: str, ids: Sequence[str]) -> np.ndarray:
        """Returns the unit embeddings of the ids that a list names, [len(ids), D] float64.

        Raises:
          UserError: as `rows`.
        """
        return self._unit[modality][self.rows(path, modality, ids)]

    def codes(self, modality: str, rows: np.ndarray) -> np.ndarray:
        """Returns the identity of each row as an int, equal in both modalities, in their order."""
        return self._code[modality][rows]

    def cosine(
        self, modalities: Sequence[str], first: np.ndarray, second: np.ndarray
    ) -> np.ndarray:
        """Returns the cosine of each row and the rows that stand beside it, `retrieval.rounded`.

        Args:
          modalities: the first rows' and the second rows'.
          first: [T] rows.
          second: [T, C] rows.

        Returns:
          [T, C] float32.
        """
        one, other = (self._unit[m] for m in modalities)
        return cosines.pairs(one, other, first, second)

    def identities(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the identity of each id, [len(ids)]."""
        return np.array([self._labels[name] for name in ids])

    def _lacking(
        self, path: str | os.PathLike, modality: str, what: str, missing: Sequence[str], total: int
    ) -> registry.UserError:
        allowed = ""
        if what == "embedding":
            allowed = f", more than the {100 * self._max_missing:g} % that may be missing"
        return registry.UserError(
            f"{path}: {len(missing)} of its {total} {modality} items have no {what} (first: "
            f"{', '.join(missing[:3])}){allowed}: use lists made for this data set, or prepare the "
            "data set with these items."
        )


def _unit(modality: str, vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    if not vectors:
        return np.zeros((0, 0))
    matrix = np.array(list(vectors.values()), np.float64)
    norm = np.linalg.norm(matrix, axis=1)
    broken = np.flatnonzero(~np.isfinite(norm) | (norm == 0))
    if len(broken):
        first = list(vectors)[broken[0]]
        kind = "zero" if norm[broken[0]] == 0 else "NaN or infinite"
        raise registry.UserError(
            f"the {modality} embedding of {first} is {kind} ({len(broken)} such of "
            f"{len(matrix)}): look at that file and at the checkpoint it was embedded with."
        )
    return retrieval.normalize(matrix)
