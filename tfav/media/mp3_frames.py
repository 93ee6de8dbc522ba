"""MP3 files whose headers tell of less than they hold.

How long an MP3 is stands in a Xing header, and is guessed from the first frame where there is none:
half of a voice is lost where the rate varies, and all but the first part of joined files. So the
frames are counted, and each part that is told wrongly gets a right header.
"""

import functools
import io
import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import soundfile

_KBITS = {  # (MPEG 1, layer) to the rates of the sixteen indices but the first and the last
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = (44_100, 48_000, 32_000)
_HALVINGS = {3: 0, 2: 1, 0: 2}  # version bits: MPEG 1, 2 and 2.5
_LOOK_BYTES = 48  # of a frame: its header, and the tag behind the side information
_OTHERS = (b"RIF", b"fLa", b"Ogg")  # what most files that are no MP3 begin with
_CHECKSUM_END = 6  # of a frame's header and what may follow it
_SEARCHED_BYTES = 1 << 16  # how far the next frame may be where something else lies between two
_TOLERATED_FRAMES = 2  # writers count the header's own frame, or not
_TAG_BYTES = 16  # the name, flags, number of frames, number of bytes


class _Frame(NamedTuple):
    """What four bytes say of the frame that they begin."""

    size: int
    rate_hz: int
    samples: int
    layer: int
    kbits: int
    tag: int  # where a Xing or Info tag would be


class _Part:
    """Frames that one header tells of."""

    def __init__(self, head: bytes, frame: _Frame):
        self.head, self.frame = head, frame
        self.info = b""  # the frame that holds the tag
        self.told: int | None = None
        self.count = 0
        self.kbits: set[int] = set()
        self.ranges: list[list[int]] = []

    def add(self, at: int, frame: _Frame) -> None:
        self.count += 1
        self.kbits.add(frame.kbits)
        if self.ranges and self.ranges[-1][1] == at:
            self.ranges[-1][1] += frame.size
        else:
            self.ranges.append([at, at + frame.size])

    @property
    def right(self) -> bool:
        """Whether its length comes out right as it stands."""
        if self.told is None:
            return len(self.kbits) == 1
        return self.told >= self.count - _TOLERATED_FRAMES


def parts(path: str | os.PathLike, max_seconds: float) -> list[io.BytesIO]:
    """Returns an MP3 as files that each tell rightly how long they are.

    Args:
      path: of any file.
      max_seconds: what comes later than this is not counted.

    Returns:
      the parts in order; none where the file is right as it is, or no MP3.
    """
    with open(path, "rb") as file:
        head = file.read(3)
        if not (_begins_like_mp3(head) or _is_mp3_behind_something(head, path)):
            return []
        found = _parts(file, max_seconds)
        if len(found) == 1 and found[0].right:
            return []
        return [_written(file, part) for part in found]


def _begins_like_mp3(head: bytes) -> bool:
    return head == b"ID3" or (len(head) == 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def _is_mp3_behind_something(head: bytes, path: str | os.PathLike) -> bool:
    """Whether libsndfile, which searches for the first frame, takes a file for an MP3."""
    if head in _OTHERS:
        return False
    try:
        return soundfile.info(os.fsencode(path)).format == "MP3"
    except RuntimeError:  # what it cannot open is told when it is read
        return False


def _parts(file: BinaryIO, max_seconds: float) -> list[_Part]:
    found: list[_Part] = []
    seconds = 0.0
    for at, head, frame in _frames(file):
        told = _told(head, frame)
        part = found[-1] if found else None
        if told is not None or part is None or part.frame.rate_hz != frame.rate_hz:
            part = _Part(head[:4], frame)
            found.append(part)
        if told is not None:
            file.seek(at)
            part.told, part.info = told, file.read(frame.size)
            continue
        part.add(at, frame)
        seconds += frame.samples / frame.rate_hz
        if seconds > max_seconds + 1:
            break
    return [part for part in found if part.count]


def _frames(file: BinaryIO) -> Iterator[tuple[int, bytes, _Frame]]:
    """Yields place, first bytes and header of each frame of layer III."""
    at: int | None = 0
    while at is not None:
        file.seek(at)
        head = file.read(_LOOK_BYTES)
        if len(head) < 4:
            return
        frame = _header(head[:4])
        if frame is not None and frame.layer == 3:
            yield at, head, frame
            at += frame.size
        elif head[:3] == b"ID3" and len(head) >= 10:
            at += 10 + functools.reduce(lambda size, byte: size << 7 | byte & 0x7F, head[6:10], 0)
        else:
            at = _next(file, at + 1)


def _next(file: BinaryIO, start: int) -> int | None:
    """Returns where the next two frames follow each other, or None."""
    file.seek(start)
    content = file.read(_SEARCHED_BYTES)
    at = content.find(b"\xff")
    while at >= 0:
        frame = _header(content[at : at + 4])
        if frame is not None and frame.layer == 3:
            file.seek(start + at + frame.size)
            after = _header(file.read(4))
            if after is not None and after.rate_hz == frame.rate_hz:
                return start + at
        at = content.find(b"\xff", at + 1)
    return None


@functools.lru_cache(maxsize=4096)
def _header(head: bytes) -> _Frame | None:
    """Reads the four bytes that begin a frame; None when they do not."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate, speed, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or speed == 3 or rate in (0, 15):
        return None
    first = version == 3
    kbits = _KBITS[first, layer][rate - 1]
    rate_hz = _RATES_HZ[speed] >> _HALVINGS[version]
    samples = 384 if layer == 1 else 576 if layer == 3 and not first else 1152
    slot = 4 if layer == 1 else 1
    size = (samples // 8 // slot * kbits * 1000 // rate_hz + padding) * slot
    mono = head[3] >> 6 == 3
    tag = 4 + ((17 if mono else 32) if first else (9 if mono else 17))
    return _Frame(size, rate_hz, samples, layer, kbits, tag)


def _told(head: bytes, frame: _Frame) -> int | None:
    """Returns how many frames a Xing or Info tag tells of; None without one."""
    if head[frame.tag : frame.tag + 4] not in (b"Xing", b"Info"):
        return None
    if not head[frame.tag + 7] & 1:  # it does not say
        return 0
    if any(head[_CHECKSUM_END : frame.tag]):  # the decoder believes a frame without sound alone
        return 0
    return int.from_bytes(head[frame.tag + 8 : frame.tag + 12], "big")


def _written(file: BinaryIO, part: _Part) -> io.BytesIO:
    """Returns a part as a file of its own, with a header that tells how many frames it has."""
    pieces = []
    for start, end in part.ranges:
        file.seek(start)
        pieces.append(file.read(end - start))
    num_bytes = sum(map(len, pieces))
    if part.right and part.info:
        return io.BytesIO(b"".join([part.info, *pieces]))
    heads = (
        bytes([0xFF, part.head[1] | 1, rate << 4 | part.head[2] & 0x0C, part.head[3]])
        for rate in range(1, 15)
    )  # without checksum and padding
    fitting = ((head, _header(head)) for head in heads)
    # The smallest frame with room for the tag.
    head, frame = next((h, f) for h, f in fitting if f and f.size >= f.tag + _TAG_BYTES)
    tag = b"Xing" + bytes([0, 0, 0, 3])
    tag += part.count.to_bytes(4, "big") + (num_bytes + frame.size).to_bytes(4, "big")
    first = (head + bytes(frame.tag - 4) + tag).ljust(frame.size, b"\0")
    return io.BytesIO(b"".join([first, *pieces]))
