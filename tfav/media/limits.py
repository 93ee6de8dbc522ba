"""How much of one file is decoded at most, whatever its header promises.

A header is a claim of a few bytes: it may name a rate of 1 Hz, 2^33 samples or 12000 x 12000 pixels
and hold none of it. What a file would need is bounded before it is decoded where the header tells,
and while it is decoded where it does not. `Limits` is the table; the binaries make a flag per row.
"""

import contextlib
import ctypes
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tfav import registry
from tfav.media import bad_file

# What needs more memory than this waits for its turn, so that several workers together stay small.
_SMALL_BYTES = 16_000_000
_LARGE = threading.RLock()
_THREAD = threading.local()
_M_MMAP_THRESHOLD, _MMAP_BYTES = -3, 500_000  # of mallopt(3)


def _limit(default: float, meaning: str, least: float, most: float | None = None) -> Any:
    about = {"help": meaning, "least": least, "most": most}
    return dataclasses.field(default=default, metadata=about)


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one file may hold; the meaning and the range of a row are in its metadata.

    The defaults keep a process that holds TensorFlow and decodes any file below 1 GB: a sound of
    `max_seconds` takes 38 MB, and five times that while it is written.
    """

    max_seconds: float = _limit(
        1200.0, "Longest sound of one row in seconds; a longer one is a bad file.", least=0.1
    )
    min_rate_hz: int = _limit(4000, "Lowest sample rate of a sound in hertz.", least=1)
    max_rate_hz: int = _limit(384_000, "Highest sample rate of a sound in hertz.", least=1)
    max_pixels: int = _limit(
        178_956_970, "Largest image in pixels (height x width).", least=256, most=178_956_970
    )  # Pillow's own bound
    max_decoded_mb: int = _limit(
        160, "Memory in megabytes that decoding one file may take.", least=1
    )
    max_hours: float = _limit(
        24.0, "Longest recording in hours that a source cuts into pieces.", least=0.01
    )

    def __post_init__(self) -> None:
        if self.min_rate_hz > self.max_rate_hz:
            raise registry.UserError(
                f"--min_rate_hz={self.min_rate_hz} lies above --max_rate_hz={self.max_rate_hz}: no "
                "sound would be left; swap them."
            )

    def check_rate(self, rate_hz: int) -> None:
        """Raises BadFile for a sample rate out of range."""
        if rate_hz < self.min_rate_hz:
            raise bad_file.BadFile(
                f"has a sample rate of {rate_hz} Hz, below --min_rate_hz={self.min_rate_hz}"
            )
        if rate_hz > self.max_rate_hz:
            raise bad_file.BadFile(
                f"has a sample rate of {rate_hz} Hz, above --max_rate_hz={self.max_rate_hz}"
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Raises BadFile for an image with too many pixels."""
        if width * height > self.max_pixels:
            raise bad_file.BadFile(
                f"has {width}x{height} pixels, more than --max_pixels={self.max_pixels}"
            )

    def check_bytes(self, num_bytes: float) -> None:
        """Raises BadFile for what needs too much memory."""
        if num_bytes > self.max_decoded_mb * 1e6:
            raise bad_file.BadFile(
                f"would take {num_bytes / 1e6:.0f} MB to decode, more than "
                f"--max_decoded_mb={self.max_decoded_mb}"
            )


DEFAULT = Limits()


class Turn:
    """A context in which one file is decoded, or one row written: large ones take turns.

    Files are decoded by several threads; each of them may be as large as the limits allow.
    """

    def __init__(self) -> None:
        self._waited = False

    def __enter__(self) -> "Turn":
        return self

    def take(self, num_bytes: float) -> None:
        """Tells how much memory is needed by now; returns when it may be taken."""
        if num_bytes > _SMALL_BYTES and not self._waited:
            getattr(_THREAD, "wait", lambda: None)()
            _LARGE.acquire()
            self._waited = True

    def __exit__(self, *exception: object) -> None:
        if self._waited:
            _LARGE.release()


@contextlib.contextmanager
def large_after(wait: Callable[[], object]) -> Iterator[None]:
    """Has this thread call `wait` before it decodes a large file."""
    _THREAD.wait = wait
    try:
        yield
    finally:
        del _THREAD.wait


def return_freed_memory() -> None:
    """Has the C library give memory back once it is freed; for a binary, before it decodes.

    Else glibc keeps what large files took, for each thread that decoded one.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
