"""Whether the data of a JPEG suffice for its picture.

Where data end too early and a marker follows, decoders fill the rest with grey and are content. So
bytes that mean something are put before each marker that ends data: a decoder that needs no more
skips them, and one that is short of data draws them. A JPEG is whole when both pictures are equal.
"""

import random
import re
from typing import NamedTuple

END = b"\xff\xd9"
SOI, EOI, SOS, TEM = 0xD8, 0xD9, 0xDA, 0x01
RESTARTS = range(0xD0, 0xD8)
PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
FRAMES = tuple(x for x in range(0xC0, 0xD0) if x not in (0xC4, 0xC8, 0xCC))
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
FILLER = bytes(random.Random(0).choices(range(1, 255), k=64))  # no byte of it begins a marker


class Scans(NamedTuple):
    """Where the data of a JPEG end.

    Attributes:
      ends: place of each marker that ends data, and the restart marker to put there too, or None.
      complete: whether every coefficient is sent, and restart markers count up as they must.
      closed: whether the end marker is there.
      coefficients: bytes that a decoder keeps of the whole picture; 0 unless it is progressive.
      stray: where bytes of no meaning begin and end, between segments, where decoders skip them.
    """

    ends: list[tuple[int, int | None]]
    complete: bool
    closed: bool
    coefficients: int
    stray: list[tuple[int, int]]


def read(content: bytes) -> Scans:
    """Finds the data of a JPEG by its markers; never fails, whatever the bytes are."""
    ends: list[tuple[int, int | None]] = []
    stray: list[tuple[int, int]] = []
    in_order, frame, at = True, _Frame(b"", False), 2
    while True:
        found = _MARKER.search(content, at)
        marker = found[0][-1] if found else None
        if found and found.start() > at:
            stray.append((at, found.start()))
        if found is None or marker == EOI:
            complete = in_order and frame.complete
            return Scans(ends, complete, marker == EOI, frame.coefficients, stray)
        at = found.end()
        if marker in (SOI, TEM) or marker in RESTARTS:
            continue
        end = at + int.from_bytes(content[at : at + 2], "big")
        if marker in FRAMES:
            frame = _Frame(content[at:end], marker in PROGRESSIVE)
        at = end
        if marker != SOS:
            continue
        frame.add(content[found.end() : end])
        count = 0
        while True:
            found = _MARKER.search(content, at)
            at = found.start() if found else len(content)
            following = RESTARTS[count % len(RESTARTS)]
            if not found or found[0][-1] not in RESTARTS:
                ends.append((at, following))
                break
            in_order &= found[0][-1] == following
            ends.append((at, None))
            count, at = count + 1, found.end()


class _Frame:
    """What the header of a frame promises, and what the headers of scans bring of it.

    Args:
      header: of the frame, from its length on.
      progressive: whether coefficients come in several scans.
    """

    def __init__(self, header: bytes, progressive: bool):
        self._progressive = progressive
        self._missing: dict[int, set[int]] = {}  # component to coefficients not wholly sent
        self.coefficients = 0
        if len(header) < 8 or len(header) < 8 + 3 * header[7]:
            return
        parts = [header[8 + 3 * k : 11 + 3 * k] for k in range(header[7])]
        self._missing = {part[0]: set(range(64 if progressive else 1)) for part in parts}
        if progressive:
            height, width = (int.from_bytes(header[k : k + 2], "big") for k in (3, 5))
            samples = [(part[1] >> 4) * (part[1] & 15) for part in parts]
            self.coefficients = 2 * height * width * sum(samples) // max(1, *samples)

    def add(self, header: bytes) -> None:
        """Takes the header of a scan, from its length on."""
        count = header[2] if len(header) > 2 else 0
        if len(header) < 6 + 2 * count:
            return
        first, last, bits = header[3 + 2 * count : 6 + 2 * count]
        whole = range(first, last + 1) if self._progressive else range(1)
        if self._progressive and bits & 15:  # lower bits are to follow
            return
        for component in header[3 : 3 + 2 * count : 2]:
            self._missing.get(component, set()).difference_update(whole)

    @property
    def complete(self) -> bool:
        return not any(self._missing.values())


def cleaned(content: bytes, scans: Scans) -> bytes:
    """Returns a JPEG without its stray bytes, of which libjpeg tells the console each time."""
    pieces, last = [], 0
    for start, end in scans.stray:
        pieces.append(content[last:start])
        last = end
    return b"".join([*pieces, content[last:]])


def filled(content: bytes, scans: Scans) -> bytes:
    """Returns a JPEG with more data before each marker that ends some; see the module."""
    pieces, last = [], 0
    for at, restart in scans.ends:
        pieces += [content[last:at], FILLER]
        if restart is not None:
            pieces += [bytes([0xFF, restart]), FILLER]
        last = at
    return b"".join([*pieces, content[last:]])
