"""The embeddings of a data set, looked up by the ids that query lists name."""

import os
from collections.abc import Mapping, Sequence

import numpy as np

from tfav import registry
from tfav.evaluation import retrieval

Embeddings = Mapping[str, Mapping[str, np.ndarray]]


class Space:
    """Unit embeddings of both modalities with the identity of each.

    Args:
      embeddings: `{"audio": {id: [D]}, "image": {id: [D]}}`, any norm but zero.
      labels: `{id: identity}` of both modalities.

    Raises:
      UserError: an embedding is zero, NaN or infinite; names its id.
    """

    def __init__(self, embeddings: Embeddings, labels: Mapping[str, str]):
        self._labels = labels
        self._row = {m: {name: i for i, name in enumerate(v)} for m, v in embeddings.items()}
        self._unit = {m: _unit(m, vectors) for m, vectors in embeddings.items()}

    def vectors(self, path: os.PathLike, modality: str, ids: Sequence[str]) -> np.ndarray:
        """Returns the unit embeddings of the ids that a list names, [len(ids), D] float64.

        Raises:
          UserError: ids without an embedding or without an identity; names the list, how many they
            are and the first three.
        """
        row = self._row.get(modality, {})
        for known, lacking in ((row, "embedding"), (self._labels, "identity")):
            missing = list(dict.fromkeys(name for name in ids if name not in known))
            if missing:
                raise registry.UserError(
                    f"{path}: {len(missing)} of its {len(set(ids))} {modality} items have no "
                    f"{lacking} (first: {', '.join(missing[:3])}): use lists made for this data "
                    "set, or prepare the data set with these items."
                )
        return self._unit[modality][[row[name] for name in ids]]

    def identities(self, ids: Sequence[str]) -> np.ndarray:
        """Returns the identity of each id, [len(ids)]."""
        return np.array([self._labels[name] for name in ids])


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the cosine of each row pair of two unit [T, D]: [T] float32, `retrieval.rounded`."""
    return retrieval.rounded(np.einsum("td,td->t", a, b))


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
