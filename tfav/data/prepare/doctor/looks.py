"""What each decoded row sounds and looks like, in a few numbers of fixed size.

They are taken of what the data set stores, in the thread that has decoded it, so no file is decoded
for them. Of a row with several frames the middle one is looked at.
"""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tfav import tensors
from tfav.data import shards

SIDE = 16  # of the outline of a clip or an image, in cells
CLIPPED_LEVEL = 0.98  # of full scale
_QUIET_DB = 40.0  # below the loudest block: silence
_PAUSE_DB = 25.0  # below it: no part of an outline, at the ends of a clip
_BLOCK = tensors.SAMPLE_RATE_HZ // 50
_WINDOW, _MOST_FRAMES, _FRAMES_AT_ONCE = 512, 2048, 512
_LOW_HZ, _HIGH_HZ = 60.0, 3600.0  # what a telephone keeps
_FLOOR = 1e-3  # of the strongest cell of an outline
_CELLS_PER_DB = 8.5
_SHARP_SIDE = 256  # pixels: sharpness depends on the size, so all are brought below it

ROW = np.dtype(
    [
        ("audio", "?"),
        ("num_samples", "i8"),
        ("num_heard", "i8"),  # without the silence at both ends
        ("level_db", "f4"),  # root mean square, below full scale
        ("clipped", "f4"),  # share of the samples
        ("quiet", "f4"),  # share of the blocks of 20 ms
        ("zeros_seconds", "f4"),  # the longest stretch of digital silence
        ("audio_digest", "u8"),
        ("audio_outline", "u1", (SIDE, SIDE)),
        ("image", "?"),
        ("height", "i4"),
        ("width", "i4"),
        ("sharpness", "f4"),
        ("image_digest", "u8"),
        ("image_outline", "u1", (SIDE, SIDE)),
    ]
)


def measure(record: shards.Record, row: np.void) -> None:
    """Fills a row of a table of the type `ROW` with what is measured of a record."""
    if record.audio is not None:
        _listen(record.audio, row)
    images = record.frames.get("image")
    if images and "image" not in record.kinds:
        _look(images, row)
        row["height"], row["width"] = record.height, record.width


def _listen(samples: np.ndarray, row: np.void) -> None:
    """Measures a clip, [T] int16."""
    whole = samples.astype(np.float32) / 32768.0
    row["audio"], row["num_samples"] = True, len(samples)
    row["level_db"] = 10 * np.log10(max(float(np.mean(whole**2)), 1e-12))
    row["clipped"] = np.mean(np.abs(whole) >= CLIPPED_LEVEL)
    row["zeros_seconds"] = _longest_run(samples == 0) / tensors.SAMPLE_RATE_HZ
    blocks = np.array_split(whole, max(1, len(whole) // _BLOCK))
    power = np.array([np.mean(block**2) for block in blocks])
    row["quiet"] = np.mean(power <= power.max() * 10 ** (-_QUIET_DB / 10))
    loud = power > power.max() * 10 ** (-_PAUSE_DB / 10)
    row["audio_digest"] = _digest(np.ascontiguousarray(samples, "<i2").tobytes())
    first, last = np.flatnonzero(loud)[[0, -1]] if loud.any() else (0, len(blocks) - 1)
    start, row["num_heard"] = (
        sum(map(len, blocks[a:b])) for a, b in ((0, first), (first, last + 1))
    )
    row["audio_outline"] = _spectral_outline(whole[start : start + row["num_heard"]])


def _longest_run(there: np.ndarray) -> int:
    """Returns the length of the longest run of True in [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _spectral_outline(clip: np.ndarray) -> np.ndarray:
    """Returns the energy in 16 mel bands of 16 equal parts of a clip, [16, 16] uint8.

    Relative to the strongest cell in decibels, so that neither gain nor the noise of a codec below
    it counts; the clip comes without the silence at its ends.
    """
    hop = max(32, min(256, (len(clip) - _WINDOW) // SIDE), (len(clip) - _WINDOW) // _MOST_FRAMES)
    clip = np.pad(clip, (0, max(0, _WINDOW + (SIDE - 1) * hop - len(clip))))
    frames = np.lib.stride_tricks.sliding_window_view(clip, _WINDOW)[::hop]
    part = np.arange(len(frames)) * SIDE // len(frames)
    energy = np.zeros((SIDE, SIDE))
    window = np.hanning(_WINDOW).astype(np.float32)
    for first in range(0, len(frames), _FRAMES_AT_ONCE):
        block = slice(first, first + _FRAMES_AT_ONCE)
        power = np.abs(np.fft.rfft(frames[block] * window, axis=1)) ** 2
        np.add.at(energy, part[block], np.add.reduceat(power, _bands(), axis=1)[:, :SIDE])
    energy /= np.bincount(part, minlength=SIDE)[:, None]
    decibels = 10 * np.log10(np.maximum(energy / max(energy.max(), 1e-20), _FLOOR))
    return np.round(255 + decibels * _CELLS_PER_DB).astype(np.uint8)


def _bands() -> np.ndarray:
    """Returns the first bin of each of 16 bands of equal width in mel, and the one behind them."""
    low, high = 2595 * np.log10(1 + np.array([_LOW_HZ, _HIGH_HZ]) / 700)
    hz = 700 * (10 ** (np.linspace(low, high, SIDE + 1) / 2595) - 1)
    bins = np.round(hz * _WINDOW / tensors.SAMPLE_RATE_HZ).astype(int)
    return np.maximum(bins, bins[0] + np.arange(SIDE + 1))  # none empty


def _look(jpegs: Sequence[bytes], row: np.void) -> None:
    """Measures the middle one of some frames."""
    with Image.open(io.BytesIO(jpegs[len(jpegs) // 2])) as image:
        pixels = image.convert("RGB")
    row["image"], row["image_digest"] = True, _digest(pixels.tobytes())
    grey = pixels.convert("L")
    row["image_outline"] = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
    if max(grey.size) > _SHARP_SIDE:
        grey.thumbnail((_SHARP_SIDE, _SHARP_SIDE), Image.Resampling.LANCZOS)
    row["sharpness"] = sharpness(np.asarray(grey, np.float32))


def sharpness(grey: np.ndarray) -> float:
    """Returns the variance of the Laplacian of an image [H, W] of values 0 .. 255."""
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var(around - 4 * inner))


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
