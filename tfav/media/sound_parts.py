"""What one sound file holds that libsndfile would not read of it, or not rightly.

Files that were joined byte by byte, and headers that tell of less than there is: each part that can
be read becomes a file of its own, and what cannot is refused, so that nothing is left out without a
word.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from tfav.media import bad_file, flac_streams, mp3_frames, ogg_links, riff, spliced

Part = bytes | BinaryIO | spliced.Spliced
_AU_SIZES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # encoding to bytes per sample
_AU_BYTES, _AU_OPEN = 24, 0xFFFFFFFF
_AIFF = (b"AIFF", b"AIFC")
_CAF_BYTES = 8


@contextlib.contextmanager
def opened(path: str | os.PathLike, max_seconds: float) -> Iterator[Sequence[Part]]:
    """Gives the files that follow each other in one, or the path of the file itself.

    Args:
      path: of any file.
      max_seconds: what comes later than this need not be told of.

    Raises:
      BadFile: several recordings in one file of a kind that cannot be taken apart, or much more
        sound than the header tells of.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        found: Sequence[Part] = ()
        if head[:4] == ogg_links.MAGIC:
            found = ogg_links.parts(file)
        elif head[:4] == flac_streams.MAGIC:
            found = flac_streams.parts(file)
        elif head[:4] == b"RIFF" and head[8:] == b"WAVE":
            found = riff.parts(file)
        elif head[:4] == b"FORM" and head[8:] in _AIFF:
            _check_aiff(file)
        elif head[:4] == b".snd":
            _check_au(file)
        elif head[:4] == b"caff":
            _check_caf(file)
        else:
            found = mp3_frames.parts(path, max_seconds)
        yield found or [os.fsencode(path)]


def _check_aiff(file: BinaryIO) -> None:
    file.seek(4)
    size = int.from_bytes(file.read(4), "big")
    file.seek(8 + size + size % 2)
    behind = file.read(12)
    if behind[:4] == b"FORM" and behind[8:] in _AIFF:
        raise bad_file.BadFile(bad_file.JOINED)


def _check_au(file: BinaryIO) -> None:
    file.seek(4)
    start, size, encoding, rate, channels = (int.from_bytes(file.read(4), "big") for _ in range(5))
    if size == _AU_OPEN:
        return
    file.seek(start + size)
    if file.read(4) == b".snd":
        raise bad_file.BadFile(bad_file.JOINED)
    rate *= channels * _AU_SIZES.get(encoding, 1)
    riff.check_rest(file, start + size, rate, "ffmpeg -i IN OUT.wav")


def _check_caf(file: BinaryIO) -> None:
    at, size = _CAF_BYTES, os.fstat(file.fileno()).st_size
    while at + 12 <= size:
        file.seek(at)
        name, length = file.read(4), int.from_bytes(file.read(8), "big", signed=True)
        if name == b"caff":
            raise bad_file.BadFile(bad_file.JOINED)
        if length < 0 or not riff.is_name(name):  # samples to the end, or no chunk any more
            return
        at += 12 + length
