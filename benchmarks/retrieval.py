"""Exact retrieval at the official size against the bare product of its matrices and a loop."""

import tracemalloc
from collections.abc import Callable

import numpy as np

from benchmarks import made_up, timing
from tfav.evaluation import retrieval

FLOOR, LOOP = "float32 GEMM", "row by row"
BLOCK = 1024  # rows of the bare product, whose whole result would take 1.8 GB
SHARE = 100  # the loop does a hundredth of the probes


def rows() -> list[timing.Row]:
    """Returns the whole work against the GEMM, and a part of it against the loop."""
    probes = made_up.items(made_up.PROBES, made_up.IDENTITIES, 1)
    gallery = made_up.items(made_up.GALLERY, made_up.IDENTITIES, 2)
    few = made_up.Items(*(values[::SHARE] for values in probes))
    size = f"{len(probes.vectors):,} x {len(gallery.vectors):,} x {made_up.SIZE}"
    part = f"{len(few.vectors):,} x {len(gallery.vectors):,} x {made_up.SIZE}"
    tracemalloc.start()
    _ours(probes, gallery)()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return [
        timing.row(
            "retrieval mAP",
            size,
            _ours(probes, gallery),
            {FLOOR: lambda: _product(probes.vectors, gallery.vectors)},
            {FLOOR: 3.0},
            f"{peak:.0f} MB over the inputs; aim: 600 MB",
        ),
        timing.row(
            "the same, a part", part, _ours(few, gallery), {LOOP: lambda: _loop(few, gallery)}
        ),
    ]


def scales() -> list[timing.Scale]:
    """Returns how time grows with the gallery, of which 100 items are of each identity."""
    calls = {}
    for size in (1_000, 3_162, 10_000, 31_623, 100_000):
        sides = (made_up.items(n, size // 100, seed) for n, seed in ((500, 1), (size, 2)))
        calls[size] = _ours(*sides)
    return [timing.scale("retrieval mAP of 500 probes", "gallery items", calls, 1.0)]


def _ours(probes: made_up.Items, gallery: made_up.Items) -> Callable[[], float]:
    sides = probes.vectors, gallery.vectors, probes.identity, gallery.identity
    return lambda: float(retrieval.rank(*sides).average_precision.mean())


def _product(probes: np.ndarray, gallery: np.ndarray) -> None:
    block = np.empty((BLOCK, len(gallery)), np.float32)
    for start in range(0, len(probes), BLOCK):
        part = probes[start : start + BLOCK]
        np.matmul(part, gallery.T, out=block[: len(part)])


def _loop(probes: made_up.Items, gallery: made_up.Items) -> float:
    """The straightforward form: a probe's cosines, their order, its average precision."""
    total = 0.0
    norms = np.linalg.norm(gallery.vectors, axis=1)
    for vector, identity in zip(*probes):
        cosine = gallery.vectors @ vector / (norms * np.linalg.norm(vector))
        found, precision = 0, 0.0
        for rank, item in enumerate(np.argsort(-cosine), start=1):
            if gallery.identity[item] == identity:
                found += 1
                precision += found / rank
        total += precision / max(found, 1)
    return total / len(probes.identity)
