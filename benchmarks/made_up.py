"""Made-up embeddings of the size of VoxCeleb1's official test lists."""

from typing import NamedTuple

import numpy as np

from tfav.evaluation import cosines, retrieval

PROBES, GALLERY, IDENTITIES, SIZE = 21_850, 20_076, 189, 128
TRIALS = 65_550


class Items(NamedTuple):
    """Embeddings of one modality.

    Attributes:
      vectors: [N, 128] float32, each identity's own part and as much noise as real ones have.
      identity: [N] int.
    """

    vectors: np.ndarray
    identity: np.ndarray


class Trials(NamedTuple):
    """Pairs to verify, a half of them right.

    Attributes:
      score: [T] float32.
      label: [T] bool.
      identity: [T] int code of the first item's identity.
    """

    score: np.ndarray
    label: np.ndarray
    identity: np.ndarray


def items(number: int, identities: int, seed: int) -> Items:
    """Returns that many items of identities drawn evenly."""
    random = np.random.default_rng(seed)
    identity = random.integers(identities, size=number)
    centre = np.random.default_rng(0).normal(size=(identities, SIZE))
    noise = random.normal(size=(number, SIZE))
    return Items((0.35 * centre[identity] + noise).astype(np.float32), identity)


def trials(number: int, identities: int) -> Trials:
    """Returns scored pairs of items of which each identity has about 100."""
    random = np.random.default_rng(2)
    first, second = (items(100 * identities, identities, seed) for seed in (0, 1))
    rows = random.integers(len(first.identity), size=number)
    order = np.argsort(second.identity, kind="stable")
    ends = np.cumsum(np.bincount(second.identity, minlength=identities))
    right = order[ends[first.identity[rows]] - 1 - random.integers(50, size=number)]
    other = np.where(random.random(number) < 0.5, right, random.permutation(right))
    units = (retrieval.normalize(side.vectors) for side in (first, second))
    score = cosines.pairs(*units, rows, other[:, None])[:, 0]
    code = np.unique(first.identity[rows], return_inverse=True)[1]
    return Trials(score, first.identity[rows] == second.identity[other], code)
