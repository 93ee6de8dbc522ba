"""Files of any kind in; mono 16 kHz sound, JPEG bytes or the reason of a failure out."""

import io
import math
import os
import re
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import soundfile
import soxr
from PIL import Image, ImageOps, UnidentifiedImageError

from tfav import tensors

CHANNELS = ("mean", "left")
MIN_SECONDS = 0.1
MIN_PEAK = 1e-4  # -80 dBFS; one step of PCM16 is 3e-5
MAX_PEAK = 4.0  # decoders overshoot 1 a little; beyond this the file holds integers as floats
MIN_SIDE = 16
JPEG_QUALITY = 95
MAX_SIDE = 512  # of an image that is stored
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm")
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


def read_audio(
    path: str | os.PathLike,
    channel: str = "mean",
    *,
    start_seconds: float = 0.0,
    length_seconds: float = 0.0,
) -> np.ndarray:
    """Decodes a sound file: WAV of any kind, FLAC, OGG, MP3 and whatever else libsndfile knows.

    Args:
      path: of the file.
      channel: `mean` of all channels, or `left` (the first one, as SSoS's released code takes).
      start_seconds: where the part starts that is meant.
      length_seconds: how long it lasts; 0: to the end. It is shorter where the file ends.

    Returns:
      [T] float32, mono, 16 kHz, in [-1, 1] but for the overshoot of lossy codecs and resampling.

    Raises:
      BadFile: missing, empty, not sound, damaged, NaN or infinite samples, samples far outside
        [-1, 1], silent, nothing left at `start_seconds`, or shorter than 0.1 s. (A file that
        merely ends early is a shorter clip.)
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel {channel!r} is none of {CHANNELS}")
    check_file(path)
    try:
        with soundfile.SoundFile(os.fspath(path)) as file:
            rate_hz = file.samplerate
            start = round(start_seconds * rate_hz)
            if start and start >= file.frames:
                raise BadFile(f"has no sound from {start_seconds:g} s on")
            file.seek(start)
            wanted = round(length_seconds * rate_hz) or -1
            frames = file.read(wanted, dtype="float32", always_2d=True)
    except (RuntimeError, TypeError, ValueError, OSError) as error:
        raise BadFile(f"is not readable as sound ({_message(error)})") from error
    sound = checked_audio(frames[:, 0] if channel == "left" else frames.mean(axis=1), rate_hz)
    return sound[: round(length_seconds * tensors.SAMPLE_RATE_HZ) or None]


def checked_audio(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Brings sound [T] float32 at `rate_hz` to 16 kHz; raises BadFile as `read_audio` says."""
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
    if rate_hz != tensors.SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, tensors.SAMPLE_RATE_HZ, quality="HQ")
    return np.ascontiguousarray(samples, dtype=np.float32)


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Rounds [T] float32 in [-1, 1] to [T] int16; 16-bit files survive unchanged."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def describe_audio(path: str | os.PathLike) -> str:
    """Returns what a readable sound file holds: `44100 Hz, 2 channels, WAVEX PCM_24`."""
    info = soundfile.info(os.fspath(path))
    plural = "s" if info.channels > 1 else ""
    return f"{info.samplerate} Hz, {info.channels} channel{plural}, {info.format} {info.subtype}"


def read_image(path: str | os.PathLike, max_side: int = MAX_SIDE) -> tuple[bytes, int, int]:
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
    check_file(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
        image = Image.open(io.BytesIO(content))
        check_side(image)
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
        check_side(image)
        return to_jpeg(image), image.height, image.width
    except _IMAGE_ERRORS as error:
        raise BadFile(f"is not readable as an image ({_message(error)})") from error


def to_jpeg(image: Image.Image, full_colour: bool = False) -> bytes:
    """Returns an RGB image as JPEG of quality 95; `full_colour`: colours as sharp as the light."""
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=JPEG_QUALITY, subsampling=0 if full_colour else -1)
    return encoded.getvalue()


def picture_files(paths: Sequence[str]) -> list[str]:
    """Returns `paths` with every folder replaced by the pictures in it, sorted by name.

    Numbers in names count as numbers: `2.jpg` comes before `10.jpg`.

    Raises:
      BadFile: a folder that cannot be read, or without pictures.
    """
    files = []
    for path in paths:
        if not os.path.isdir(path):
            files.append(path)
            continue
        try:
            names = [x for x in os.listdir(path) if x.lower().endswith(PICTURES) and x[0] != "."]
        except OSError as error:
            raise BadFile(f"is a folder that cannot be read ({error.strerror})") from error
        if not names:
            raise BadFile(f"is a folder without pictures ({', '.join(PICTURES)})")
        files += [os.path.join(path, name) for name in sorted(names, key=_natural)]
    return files


def _natural(name: str) -> list[tuple[float, str]]:
    """Sorts names that hold numbers: numbers before letters, and by their value."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(int(x) if x[0] in "0123456789" else math.inf, x) for x in parts]


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


def check_side(image: Image.Image) -> None:
    """Raises BadFile for a side shorter than 16 pixels."""
    if min(image.size) < MIN_SIDE:
        size = f"{image.width}x{image.height}"
        raise BadFile(f"has {size} pixels: its shorter side must have at least {MIN_SIDE}")


def check_file(path: str | os.PathLike) -> None:
    """Raises BadFile unless there is a file at `path`, with something in it."""
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
