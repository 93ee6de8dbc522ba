"""FLAC files whose header tells of less than they hold, and several in one file.

libsndfile stops where the header says. How far the sound goes stands in the header of its last
frame, so that a total that is too small gets the right one.
"""

import mmap
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from tfav.media.spliced import Spliced

MAGIC = b"fLaC"
_FIRST_BLOCKS = (b"\0\0\0\x22", b"\x80\0\0\x22")  # with one of which each stream begins
_INFO, _INFO_END = 8, 42  # of a stream: where that block's content begins and ends
_TOTAL = 18  # where 64 bits stand of which the lower 36 are the number of samples
_TOTAL_BITS = 36
_TAIL_BYTES = 1 << 17  # a frame is smaller, and the last one begins in it
_FRAME = re.compile(rb"\xff[\xf8\xf9]")
_FRAME_BYTES = 16
_BLOCKS = {
    1: 192,
    **{k: 576 << (k - 2) for k in range(2, 6)},
    **{k: 256 << (k - 8) for k in range(8, 16)},
}
_EXTRA_BLOCK, _EXTRA_RATE = {6: 1, 7: 2}, {12: 1, 13: 2, 14: 2}  # code to bytes that follow


class _Frame(NamedTuple):
    """What the header of a frame says.

    Attributes:
      number: of the frame, or of its first sample where `varies`.
      samples: how many the frame holds.
      varies: whether frames differ in size.
      kind: the codes of rate and resolution, which all frames share.
    """

    number: int
    samples: int
    varies: bool
    kind: tuple[int, int]


def parts(file: BinaryIO) -> list[Spliced]:
    """Returns the streams of an open FLAC file, each with a total that is no less than its sound.

    None where there is one stream that tells rightly how long it is.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        starts = list(_starts(content))
        ends = [*starts[1:], len(content)]
        heads = [_head(content, start, end) for start, end in zip(starts, ends)]
    if len(starts) < 2 and not any(heads):
        return []
    return [
        Spliced(file, start + len(head), end, head) for start, end, head in zip(starts, ends, heads)
    ]


def _starts(content: mmap.mmap) -> Iterator[int]:
    at = content.find(MAGIC)
    while at >= 0:
        if content[at + 4 : at + 8] in _FIRST_BLOCKS:
            yield at
        at = content.find(MAGIC, at + 1)


def _head(content: mmap.mmap, start: int, end: int) -> bytes:
    """Returns the head of a stream with a right total; empty where its own is right."""
    head = content[start : start + _INFO_END]
    said = int.from_bytes(head[_TOTAL : _TOTAL + 8], "big")
    total, block = said % (1 << _TOTAL_BITS), int.from_bytes(head[_INFO : _INFO + 2], "big")
    found = _num_samples(content, start, end, block)
    if found <= total:  # 0: not known
        return b""
    said = (said >> _TOTAL_BITS << _TOTAL_BITS) | found
    return head[:_TOTAL] + said.to_bytes(8, "big") + head[_TOTAL + 8 :]


def _num_samples(content: mmap.mmap, start: int, end: int, block: int) -> int:
    """Returns where the frames of a stream end, in samples; 0 where none is found."""
    at, last = start + len(MAGIC), False
    while not last and at + 4 <= end:
        last = bool(content[at] & 0x80)
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    first = _read(content[at : at + _FRAME_BYTES])
    if first is None:
        return 0
    begin = max(at, end - _TAIL_BYTES)
    tail = content[begin:end]
    frames = (_read(tail[f.start() : f.start() + _FRAME_BYTES]) for f in _FRAME.finditer(tail))
    return max(
        (
            frame.number * (1 if frame.varies else block) + frame.samples
            for frame in frames
            if frame is not None and frame[2:] == first[2:]
        ),
        default=0,
    )


def _read(head: bytes) -> _Frame | None:
    """Reads the header of a frame; None where its bytes are none, or their checksum is wrong."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    ones = 8 - (head[4] ^ 0xFF).bit_length()
    if ones == 1 or ones == 8:
        return None
    at = 4 + max(1, ones)
    number = head[4] & (0x7F >> ones)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    size, rate = head[2] >> 4, head[2] & 15
    extra = _EXTRA_BLOCK.get(size, 0)
    samples = int.from_bytes(head[at : at + extra], "big") + 1 if extra else _BLOCKS.get(size, 0)
    at += extra + _EXTRA_RATE.get(rate, 0)
    if not samples or at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    return _Frame(number, samples, bool(head[1] & 1), (rate, head[3] & 0x0E))


def _crc8(content: bytes) -> int:
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc
