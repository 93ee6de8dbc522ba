"""Cosines of pairs of rows, in memory that does not grow with the pairs."""

import numpy as np

from tfav.evaluation import cores, retrieval

# Numbers of vectors that a core holds at a time: 2^17 float64 are 1 MiB, about what it caches.
_BLOCK_NUMBERS = 2**17


def pairs(
    first: np.ndarray, second: np.ndarray, first_row: np.ndarray, second_row: np.ndarray
) -> np.ndarray:
    """Returns the cosine of a row of `first` and each of C rows of `second`, `retrieval.rounded`.

    Args:
      first: [N, D] float64 of unit rows.
      second: [M, D] float64 of unit rows.
      first_row: [T] int, which rows of `first`.
      second_row: [T, C] int, which rows of `second`.

    Returns:
      [T, C] float32.
    """
    score = np.empty(second_row.shape)
    size = max(1, _BLOCK_NUMBERS // max(1, second_row.shape[1] * second.shape[1]))

    def part(start: int) -> None:
        rows = slice(start, start + size)
        one, others = (
            np.take(x, r[rows], axis=0) for x, r in ((first, first_row), (second, second_row))
        )
        np.einsum("td,tcd->tc", one, others, out=score[rows])

    cores.each(part, range(0, len(score), size))
    return retrieval.rounded(score)
