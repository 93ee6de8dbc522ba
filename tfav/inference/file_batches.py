"""What is read of many files: a few ahead of the model, in batches of like length."""

import collections
import concurrent.futures
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from tfav.inference.input_files import Item

_WINDOW = 4  # batches that are sorted by length together
_WINDOW_BYTES = 128_000_000  # or as many as these hold
Read = TypeVar("Read")


def ahead(
    read: Callable[[str], Read], items: Sequence[Item], count: int
) -> Iterator[tuple[Item, Read]]:
    """Yields each item, in order, with what `read` returns of its path.

    Args:
      read: is called by a thread per core.
      items: names and paths.
      count: how many files are read before their turn, at most.
    """
    rest = iter(items)
    waiting: collections.deque[tuple[Item, concurrent.futures.Future[Read]]] = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        while True:
            for item in itertools.islice(rest, count - len(waiting)):
                waiting.append((item, pool.submit(read, item[1])))
            if not waiting:
                return
            item, future = waiting.popleft()
            yield item, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def of_like_length(
    values: Iterable[tuple[str, np.ndarray]], batch_size: int
) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Yields names and values in batches: of a few batches together the shortest first.

    Little of a batch is padding then. Values of one length keep their order.
    """
    window: list[tuple[str, np.ndarray]] = []
    num_bytes = 0
    for name, value in values:
        window.append((name, value))
        num_bytes += value.nbytes
        if len(window) == _WINDOW * batch_size or num_bytes > _WINDOW_BYTES:
            yield from _batches(window, batch_size)
            window, num_bytes = [], 0
    yield from _batches(window, batch_size)


def _batches(
    window: list[tuple[str, np.ndarray]], batch_size: int
) -> Iterator[list[tuple[str, np.ndarray]]]:
    window.sort(key=lambda item: len(item[1]))
    for start in range(0, len(window), batch_size):
        yield window[start : start + batch_size]
