"""WAV files whose chunks readers take differently, or behind whose sound more of it lies.

`export.serving.wav_file` and `clients.client` walk the chunks likewise.
"""

import os
import struct
from typing import BinaryIO

from tfav.media import bad_file
from tfav.media.spliced import Spliced

OPEN = 0x7F000000  # sizes from here on were left open by who could not go back to write them
LEAST_LEFT_SECONDS = 0.1  # of sound that lies behind the end of which the header tells
_RIFF_BYTES = 12
_BYTE_RATE = 8  # where the bytes per second stand in the format
_BLOCK_BYTES = 1 << 20


def parts(file: BinaryIO) -> list[Spliced]:
    """Returns a WAV file with plain chunks where the pad byte of an odd one lacks; else nothing.

    Raises:
      BadFile: two chunks of samples, another WAV file behind it, or other bytes behind its end
        that would last 0.1 s.
    """
    size = os.fstat(file.fileno()).st_size
    at, form, data, unpadded = _RIFF_BYTES, b"", None, False
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        body = at + 8
        if name == b"RIFF" and data:
            raise bad_file.BadFile(bad_file.JOINED)
        is_open = name == b"data" and length >= OPEN
        if not is_name(name) or (data and body + length > size and length < OPEN):
            break
        if name == b"data":
            if data:
                raise bad_file.BadFile(
                    "has two chunks of samples, of which some readers take the first and others "
                    "the last: keep one of them"
                )
            data = (body, size - body if is_open else length)
        elif name == b"fmt " and not form:
            form = file.read(min(length, 64))
        at = size if is_open else body + length
        if length % 2 and not is_open:
            names = [is_name(_read(file, place, 4)) for place in (at, at + 1)]
            unpadded |= not data and names == [True, False]
            at += names != [True, False]
    if data and data[1]:
        rate = int.from_bytes(form[_BYTE_RATE : _BYTE_RATE + 4], "little")
        check_rest(file, at, rate, "ffmpeg -ignore_length 1 -i IN OUT.wav")
    if not (data and form and unpadded):
        return []
    start, length = data[0], min(data[1], size - data[0])
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"\0" * (len(form) % 2)
    head += b"data" + struct.pack("<I", length)
    return [
        Spliced(file, start, start + length, b"RIFF" + struct.pack("<I", len(head) + length) + head)
    ]


def check_rest(file: BinaryIO, at: int, rate: int, command: str) -> None:
    """Raises BadFile for much behind the end of a recording that is not zeros.

    Args:
      file: open.
      at: where the recording ends.
      rate: bytes per second.
      command: what writes the header anew.
    """
    left = os.fstat(file.fileno()).st_size - at
    if left < max(1, int(rate * LEAST_LEFT_SECONDS)):
        return
    file.seek(at)
    if any(any(block) for block in iter(lambda: file.read(_BLOCK_BYTES), b"")):
        seconds = left / max(1, rate)
        raise bad_file.BadFile(
            f"holds {left} bytes behind the end that its header tells of, {seconds:.2f} s if they "
            f"are sound: write its header anew ({command})"
        )


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def is_name(name: bytes) -> bool:
    """Says whether these are four printable characters: the name of a chunk."""
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)
