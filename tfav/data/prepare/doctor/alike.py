"""Which outlines are nearly equal: a search in buckets of equal hashes, in bounded memory.

An outline is [16, 16] numbers (`looks`). Two are alike where they correlate at least as asked. Each
has 112 bits, the signs of what neighbouring cells of its 8 x 8 means differ by, in seven words of
16 bits. Only outlines that have a word in common are compared, in blocks of a matrix product: what
differs in every word is not found.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfav import progress

MOST_IN_BUCKET = 16_384  # that one outline is compared with
_ROWS_AT_ONCE = 1024
_LEAST_SPREAD = 4.0  # standard deviation of the cells, below which an outline shows nothing
_DEAD_ZONE = 1.0  # differences of means below which a bit is 0, so that flat parts do not flicker


class Alike(NamedTuple):
    """What was found.

    Attributes:
      partner: [N] the place of an outline of another group that is alike, the most alike that was
        met; -1: none.
      similarity: [N] correlation with it; 0: none.
      num_skipped: outlines that were compared with a part of their bucket alone.
    """

    partner: np.ndarray
    similarity: np.ndarray
    num_skipped: int


def find(outlines: np.ndarray, group: np.ndarray, least: float) -> Alike:
    """Returns which outlines have one alike in another group.

    Args:
      outlines: [N, 16, 16] uint8.
      group: [N] int; outlines of one group are not compared.
      least: Least correlation that counts as alike.
    """
    count = len(outlines)
    found = Alike(np.full(count, -1), np.zeros(count, np.float32), 0)
    if not count:
        return found
    spread = outlines.reshape(count, -1).std(axis=1)
    used = np.flatnonzero(spread >= _LEAST_SPREAD)
    words = hashes(outlines[used])
    crowded = np.zeros(count, bool)
    for word in progress.bar(words.T, desc="comparing", unit="hash"):
        for bucket in _buckets(word):
            places = used[bucket]
            if (group[places] == group[places[0]]).all():
                continue
            crowded[places] |= len(places) > MOST_IN_BUCKET
            for first in range(0, len(places), MOST_IN_BUCKET):
                _compare(outlines, group, places[first : first + MOST_IN_BUCKET], least, found)
    return found._replace(num_skipped=int(crowded.sum()))


def hashes(outlines: np.ndarray) -> np.ndarray:
    """Returns the words of outlines, [N, 7] uint16."""
    means = outlines.reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4), dtype=np.float32)
    across, down = np.diff(means, axis=2), np.diff(means, axis=1)
    steps = np.concatenate([x.reshape(len(means), 56) for x in (across, down)], axis=1)
    # Spread over the words, so that a flat corner does not make one of them all zeros.
    order = np.random.default_rng(0).permutation(steps.shape[1])
    bits = np.packbits(steps[:, order] > _DEAD_ZONE, axis=1)
    return np.ascontiguousarray(bits).view(np.uint16)


def _buckets(word: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the places of equal values that are there at least twice."""
    order = np.argsort(word, kind="stable")
    ends = np.flatnonzero(np.diff(word[order])) + 1
    for bucket in np.split(order, ends):
        if len(bucket) > 1:
            yield bucket


def _compare(
    outlines: np.ndarray, group: np.ndarray, places: np.ndarray, least: float, found: Alike
) -> None:
    """Compares all with all of some places, and keeps the best partner of each."""
    flat = outlines[places].reshape(len(places), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    of_group = group[places]
    for first in range(0, len(places), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        similarity = flat[rows] @ flat.T
        similarity[of_group[rows, None] == of_group[None, :]] = 0
        best = similarity.argmax(axis=1)
        value = similarity[np.arange(len(best)), best]
        better = (value >= least) & (value > found.similarity[places[rows]])
        here = places[rows][better]
        found.partner[here] = places[best[better]]
        found.similarity[here] = value[better]
