"""Work in parts, on all of the machine's cores at once: NumPy lets go of Python's lock within."""

import concurrent.futures
import os
from collections.abc import Callable, Iterable
from typing import Any

MOST = 16  # each holds a block of its own


def count() -> int:
    """Returns on how many cores `each` works."""
    known = hasattr(os, "sched_getaffinity")
    return min(MOST, len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1)


def each(work: Callable[[Any], object], parts: Iterable[Any]) -> None:
    """Calls `work` once per part, in any order, and returns when all is done.

    Raises:
      Exception: one that a part raised; no more parts are begun on its core.
    """
    parts = list(parts)
    workers = min(len(parts), count())
    left = iter(parts)  # which all workers take from

    def run() -> None:
        for part in left:
            work(part)

    if workers < 2:
        run()
        return
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(run) for _ in range(workers)]:
            done.result()
