"""Files of any kind in; mono 16 kHz sound, JPEG bytes or the reason of a failure out."""

import io
import os
import struct
import zlib

import numpy as np
import soundfile
import soxr
from PIL import Image, ImageOps, UnidentifiedImageError

from tfav import typing

CHANNELS = ("mean", "left")
MIN_SECONDS = 0.1
MIN_PEAK = 1e-4  # -80 dBFS; one step of PCM16 is 3e-5
MAX_PEAK = 4.0  # decoders overshoot 1 a little; beyond this the file holds integers as floats
MIN_SIDE = 16
JPEG_QUALITY = 95
# What Pillow's readers raise for damaged bytes, depending on the format.
_IMAGE_ERRORS = (
    Image.DecompressionBombError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class BadFile(Exception):
    """A file that cannot be used; `reason` completes the sentence "skipped because it ..."."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def read_audio(path: str | os.PathLike, channel: str = "mean") -> np.ndarray:
    """Decodes a sound file: WAV of any kind, FLAC, OGG, MP3 and whatever else libsndfile knows.

    Args:
      path: of the file.
      channel: `mean` of all channels, or `left` (the first one, as SSoS's released code takes).

    Returns:
      [T] float32, mono, 16 kHz, in [-1, 1] but for the overshoot of lossy codecs and resampling.

    Raises:
      BadFile: missing, empty, not sound, damaged, NaN or infinite samples, samples far outside
        [-1, 1], silent, or shorter than 0.1 s. (A file that merely ends early is a shorter clip.)
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel {channel!r} is none of {CHANNELS}")
    _check_file(path)
    try:
        with soundfile.SoundFile(os.fspath(path)) as file:
            rate_hz = file.samplerate
            frames = file.read(dtype="float32", always_2d=True)
    except (RuntimeError, TypeError, ValueError, OSError) as error:
        raise BadFile(f"is not readable as sound ({_message(error)})") from error
    samples = frames[:, 0] if channel == "left" else frames.mean(axis=1)
    broken = int(np.count_nonzero(~np.isfinite(samples)))
    if broken:
        raise BadFile(f"has {broken} samples that are NaN or infinite")
    seconds = len(samples) / rate_hz
    if seconds < MIN_SECONDS:
        raise BadFile(f"lasts {seconds:.3f} s, less than {MIN_SECONDS} s")
    peak = float(np.abs(samples).max())
    if peak < MIN_PEAK:
        raise BadFile(f"is silent (peak {peak:.1e})")
    if peak > MAX_PEAK:
        raise BadFile(f"has float samples up to {peak:.3g}, which should lie in [-1, 1]")
    if rate_hz != typing.SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, typing.SAMPLE_RATE_HZ, quality="HQ")
    return np.ascontiguousarray(samples, dtype=np.float32)


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Rounds [T] float32 in [-1, 1] to [T] int16; 16-bit files survive unchanged."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def describe_audio(path: str | os.PathLike) -> str:
    """Returns what a readable sound file holds: `44100 Hz, 2 channels, WAVEX PCM_24`."""
    info = soundfile.info(os.fspath(path))
    plural = "s" if info.channels > 1 else ""
    return f"{info.samplerate} Hz, {info.channels} channel{plural}, {info.format} {info.subtype}"


def read_image(path: str | os.PathLike, max_side: int = 512) -> tuple[bytes, int, int]:
    """Decodes an image file to be sure of it, and returns it as JPEG.

    An intact upright RGB JPEG no larger than `max_side` keeps its bytes. Anything else (PNG, grey,
    CMYK, transparency (on white), EXIF rotation, too large) is encoded anew at quality 95.

    Args:
      path: of the file.
      max_side: longest side in pixels that is kept; larger images shrink, keeping their aspect.

    Returns:
      JPEG bytes (RGB), height and width in pixels.

    Raises:
      BadFile: missing, empty, not an image, cut short, more than 179 million pixels, or a side
        shorter than 16 pixels (also after shrinking).
    """
    _check_file(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
        image = Image.open(io.BytesIO(content))
        _check_side(image)
        # Its end marker too: the reader decodes with TensorFlow, which refuses what lacks it.
        kept = image.format == "JPEG" and image.mode == "RGB" and content.endswith(b"\xff\xd9")
        kept = kept and image.getexif().get(0x0112, 1) == 1 and max(image.size) <= max_side
        if not kept:
            image.draft(None, (max_side, max_side))  # decodes a huge JPEG at a fraction of its size
        image.load()
        if kept:
            return content, image.height, image.width
        image = _to_rgb(ImageOps.exif_transpose(image))
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
        _check_side(image)
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=JPEG_QUALITY)
    except _IMAGE_ERRORS as error:
        raise BadFile(f"is not readable as an image ({_message(error)})") from error
    return encoded.getvalue(), image.height, image.width


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: `convert` would clip it to white
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype("u1"))
    if "A" in image.mode or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    plain = image.convert("RGB")
    plain.info = {}  # no stale EXIF or colour profile in the new file
    return plain


def _check_side(image: Image.Image) -> None:
    if min(image.size) < MIN_SIDE:
        size = f"{image.width}x{image.height}"
        raise BadFile(f"has {size} pixels: its shorter side must have at least {MIN_SIDE}")


def _check_file(path: str | os.PathLike) -> None:
    if not os.path.exists(path):
        raise BadFile("does not exist")
    if not os.path.isfile(path):
        raise BadFile("is not a file")
    if not os.path.getsize(path):
        raise BadFile("is empty (0 bytes)")


def _message(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its text holds a memory address
        return "unknown format"
    text = getattr(error, "error_string", None) or str(error) or type(error).__name__
    return text.splitlines()[0].rstrip(".")
