"""The nearest rows of a gallery: exactly, or by FAISS with what it misses measured.

Both rank by the scores of `retrieval`: cosines in float64 rounded to a multiple of 2^-24. Rows of
one score come in the order of the gallery, so that an answer does not hang on the machine.
"""

import importlib.util
import logging
import math
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from tfav import registry
from tfav.evaluation import cores, cosines, retrieval

# Rows of a gallery from which FAISS is taken where nobody says how to search.
MANY = 1_000_000
# Scores that a core holds at a time: 2^20 int64 keys are 8 MiB.
_BLOCK_SCORES = 2**20
_GALLERY_ROWS = 2**14  # float64 of 512 values each are 64 MiB
_PLACES = 2**32  # more than rows of any gallery
_MEASURED = 100  # queries whose exact neighbours say what FAISS misses
_MORE = 4  # how many times the neighbours FAISS proposes, which exact scores then order


class Nearest(NamedTuple):
    """The nearest rows of each query, nearest first.

    Attributes:
      place: [Q, K] int64, rows of the gallery.
      score: [Q, K] float32 cosines, multiples of 2^-24.
      recall: share of the exact K nearest that were found, over the first queries; 1.0 of an exact
        search.
    """

    place: np.ndarray
    score: np.ndarray
    recall: float


def exact(query: np.ndarray, gallery: np.ndarray, count: int) -> Nearest:
    """Returns the nearest rows of each query, in memory that grows with neither.

    Args:
      query: [Q, D] embeddings, any norm.
      gallery: [G, D] embeddings, any norm.
      count: Number K of neighbours; all of a smaller gallery.
    """
    count = min(count, len(gallery))
    if not len(query) or not count:
        return Nearest(np.zeros([len(query), count], np.int64), np.zeros([len(query), count]), 1.0)
    unit = retrieval.normalize(query)
    best = np.full([len(query), count], np.iinfo(np.int64).min)
    rows = max(1, min(_BLOCK_SCORES // _GALLERY_ROWS, math.ceil(len(query) / cores.count())))

    for first in range(0, len(gallery), _GALLERY_ROWS):
        part = retrieval.normalize(gallery[first : first + _GALLERY_ROWS])
        # The larger the score and the lower the row, the larger the key, and no two are equal.
        row_keys = _PLACES - 1 - np.arange(first, first + len(part))

        def merge(start: int, part: np.ndarray = part, row_keys: np.ndarray = row_keys) -> None:
            some = slice(start, start + rows)
            keys = retrieval.steps(unit[some], part).astype(np.int64) * _PLACES + row_keys
            best[some] = _largest(np.concatenate([best[some], keys], axis=1), count)

        starts = range(0, len(query), rows)
        # Cores that each multiply a block of their own never wait for one another.
        with threadpoolctl.threadpool_limits(1, "blas") if len(starts) > 1 else nullcontext():
            cores.each(merge, starts)
    best = -np.sort(-best, axis=1)
    step, key = np.divmod(best, _PLACES)
    score = retrieval.of_steps(step)
    return Nearest(_PLACES - 1 - key, score, 1.0)


def by_faiss(query: np.ndarray, gallery: np.ndarray, count: int) -> Nearest:
    """Returns the nearest rows of each query among those that an inverted file of FAISS proposes.

    The gallery is divided into about 4 sqrt(G) cells, and a query looks into a sixteenth of them.
    What is proposed is ordered by exact scores; `recall` is measured on the first queries.

    Args:
      query: [Q, D] embeddings, any norm.
      gallery: [G, D] embeddings, any norm.
      count: Number K of neighbours; all of a smaller gallery.

    Raises:
      UserError: FAISS is not installed.
    """
    faiss = _faiss()
    count = min(count, len(gallery))
    single = [_unit(x) for x in (query, gallery)]
    cells = max(1, min(round(4 * math.sqrt(len(gallery))), len(gallery) // 39))
    index = faiss.index_factory(gallery.shape[1], f"IVF{cells},Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 0
    index.train(single[1])
    index.add(single[1])
    index.nprobe = max(1, math.ceil(cells / 16))
    _, proposed = index.search(single[0], min(_MORE * count, len(gallery)))
    short = (proposed >= 0).sum(axis=1) < count
    while short.any():  # the cells looked into held too few rows
        index.nprobe = min(cells, 2 * index.nprobe)
        _, proposed[short] = index.search(single[0][short], proposed.shape[1])
        short = (proposed >= 0).sum(axis=1) < count
    found = _ordered(query, gallery, np.sort(proposed, axis=1), count)
    some = slice(_MEASURED)
    right = exact(query[some], gallery, count).place
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found.place[some], right)]
    return found._replace(recall=sum(hits) / max(1, right.size))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Returns unit rows as float32, without a float64 copy of all of them."""
    found = np.empty(vectors.shape, np.float32)
    for first in range(0, len(vectors), _GALLERY_ROWS):
        rows = slice(first, first + _GALLERY_ROWS)
        found[rows] = retrieval.normalize(vectors[rows])
    return found


def _ordered(query: np.ndarray, gallery: np.ndarray, proposed: np.ndarray, count: int) -> Nearest:
    """Returns the best of the proposed rows [Q, P], of which -1 is none, by exact scores."""
    rows, which = np.unique(proposed, return_inverse=True)
    unit = retrieval.normalize(gallery[rows])
    which = which.reshape(proposed.shape)
    score = cosines.pairs(retrieval.normalize(query), unit, np.arange(len(query)), which)
    score[proposed < 0] = -np.inf
    order = np.argsort(-score, axis=1, kind="stable")[:, :count]
    place = np.take_along_axis(proposed, order, 1)
    return Nearest(place, np.take_along_axis(score, order, 1), 1.0)


def _largest(keys: np.ndarray, count: int) -> np.ndarray:
    """Returns the largest `count` of each row, in any order."""
    return np.partition(keys, keys.shape[1] - count, axis=1)[:, -count:]


def _faiss() -> Any:
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells which library it loads
    try:
        import faiss
    except ImportError as error:
        raise registry.UserError(
            "FAISS is not installed, which an approximate search needs: pip install 'tfav[faiss]', "
            "or search with --method=exact."
        ) from error
    return faiss


def has_faiss() -> bool:
    """Returns whether FAISS is installed."""
    return importlib.util.find_spec("faiss") is not None
