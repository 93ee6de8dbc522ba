"""Measures what memory one call takes, in a process of its own."""

import math
import multiprocessing
import os
import pathlib
import sys
import unittest.mock
from collections.abc import Callable

# glibc returns what is freed at once, so that the process is as large as what it holds.
_GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def peak_mb(make: Callable[..., Callable[[], object]], *arguments: int, warm: int) -> float:
    """Returns by how many MB a process grows, at most, in the first call of `make(*arguments)`.

    What `make` itself takes, such as the inputs, does not count, nor what any first call leaves,
    such as threads and kernels. NaN outside of Linux.

    Args:
      make: Function of a module that returns what is measured, traced but not yet called.
      *arguments: What it is given.
      warm: First argument of a small call that goes before, with the others as they are.
    """
    if sys.platform != "linux":
        return math.nan
    spawn = multiprocessing.get_context("spawn")
    with unittest.mock.patch.dict(os.environ, _GIVE_BACK), spawn.Pool(1) as pool:
        return pool.apply(_growth, (make, arguments, warm))


def _growth(
    make: Callable[..., Callable[[], object]], arguments: tuple[int, ...], warm: int
) -> float:
    make(warm, *arguments[1:])()
    call = make(*arguments)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forgets the largest size so far
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    """Returns a line of this process's status, in KiB."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])
