"""Measures what memory one call takes, in a process of its own."""

import math
import multiprocessing
import pathlib
import sys
from collections.abc import Callable


def peak_mb(make: Callable[..., Callable[[], object]], *arguments: object) -> float:
    """Returns by how many MB a process grows, at most, in the first call of `make(*arguments)`.

    What `make` itself takes, such as the inputs, does not count. NaN outside of Linux.

    Args:
      make: Function of a module that returns what is measured, traced but not yet called.
      *arguments: What it is given.
    """
    if sys.platform != "linux":
        return math.nan
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (make, arguments))


def _growth(make: Callable[..., Callable[[], object]], arguments: tuple) -> float:
    call = make(*arguments)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forgets the largest size so far
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    """Returns a line of this process's status, in KiB."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])
