"""The chunks of a PNG, and whether its data suffice for its image.

A stream of zlib may be whole, with a right checksum, and hold fewer rows than the header promises:
Pillow leaves the rest black.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_GREY, _RGB = 0, 2
_PASSES = (  # of Adam7: first column and row, steps across and down
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_BLOCK_BYTES, _PIECE_BYTES = 1 << 20, 1 << 16


class Chunk(NamedTuple):
    """Where the content of a chunk lies in a file."""

    name: bytes
    start: int
    end: int


def read(content: bytes) -> Iterator[Chunk]:
    """Yields the chunks of a PNG that end before its end."""
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        yield Chunk(name, at + 8, at + 8 + size)
        if name == b"IEND":
            return
        at += 12 + size


class Header(NamedTuple):
    """What the first chunk says, as it stands there."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filtering: int
    interlaced: int

    @property
    def num_bytes(self) -> int:
        """Bytes of all rows, each with the one that names its filter."""
        bits = self.depth * _CHANNELS[self.colour]
        total = 0
        for left, top, across, down in _PASSES if self.interlaced else ((0, 0, 1, 1),):
            width, height = -((left - self.width) // across), -((top - self.height) // down)
            total += height * (1 + (width * bits + 7) // 8) if width > 0 else 0
        return total


def header(content: bytes) -> Header:
    """Returns the header of a PNG."""
    return Header(*struct.unpack_from(">IIBBBBB", content, 16))


def has_odd_clear_colour(content: bytes) -> bool:
    """Whether one colour is clear that is not of 8 bits, so that Pillow does not find it."""
    found = header(content)
    if found.depth == 8 or found.colour not in (_GREY, _RGB):
        return False
    return any(chunk.name == b"tRNS" for chunk in read(content))


def is_whole(content: bytes) -> bool:
    """Whether the data of a PNG hold all of its rows.

    Raises:
      zlib.error: they are damaged, or a checksum is wrong.
    """
    left, unpacker = header(content).num_bytes, zlib.decompressobj()
    for packed in _packed(content):
        while packed and left > 0 and not unpacker.eof:
            left -= len(unpacker.decompress(packed, min(left, _BLOCK_BYTES)))
            packed = unpacker.unconsumed_tail
    return left <= 0


def _packed(content: bytes) -> Iterator[bytes]:
    """Yields the data of a PNG in small pieces: what is not unpacked yet is copied each time."""
    for chunk in read(content):
        if chunk.name == b"IDAT":
            crc = zlib.crc32(chunk.name)
            for at in range(chunk.start, chunk.end, _PIECE_BYTES):
                piece = content[at : min(at + _PIECE_BYTES, chunk.end)]
                crc = zlib.crc32(piece, crc)
                yield piece
            told = content[chunk.end : chunk.end + 4]
            if len(told) == 4 and told != crc.to_bytes(4, "big"):
                raise zlib.error("a checksum of its data is wrong")
