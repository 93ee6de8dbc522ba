"""The recordings that follow each other in one Ogg file; libsndfile reads the first of them.

A link begins with a page that is marked as the beginning of a stream, or with several where
streams lie side by side.
"""

import os
from typing import BinaryIO

from tfav.media.spliced import Spliced

MAGIC = b"OggS"
_HEADER_BYTES, _BEGINS = 27, 2
_SEARCHED_BYTES = 1 << 16


def parts(file: BinaryIO) -> list[Spliced]:
    """Returns the links of an open Ogg file; none where there is one."""
    size = os.fstat(file.fileno()).st_size
    starts, at, begins_before = [0], 0, True
    while at + _HEADER_BYTES <= size:
        file.seek(at)
        header = file.read(_HEADER_BYTES)
        if header[:4] != MAGIC:
            found = _next(file, at + 1)
            if found is None:
                break
            at = found
            continue
        begins = bool(header[5] & _BEGINS)
        if begins and not begins_before:
            starts.append(at)
        begins_before = begins
        at += _HEADER_BYTES + header[26] + sum(file.read(header[26]))
    if len(starts) == 1:
        return []
    return [Spliced(file, start, end) for start, end in zip(starts, [*starts[1:], size])]


def _next(file: BinaryIO, at: int) -> int | None:
    """Returns where the next page begins, where something else lies between two."""
    while True:
        file.seek(at)
        block = file.read(_SEARCHED_BYTES)
        found = block.find(MAGIC)
        if found >= 0:
            return at + found
        if len(block) < len(MAGIC):
            return None
        at += len(block) - len(MAGIC) + 1
