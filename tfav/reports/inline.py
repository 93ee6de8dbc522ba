"""Recordings and photographs made small enough to be carried inside a page."""

import base64
import io
from typing import NamedTuple

import numpy as np
import soundfile
from PIL import Image

from tfav import tensors

NUM_PEAKS = 48


class Item(NamedTuple):
    """A recording or a photograph to show.

    Attributes:
      content: PCM16 little-endian, mono, 16 kHz; or a JPEG file.
      label: its identity.
      gender: Gender as the data has it; empty when it does not.
    """

    content: bytes
    label: str
    gender: str = ""


class Level(NamedTuple):
    """How much of an item a page carries; see `thumbnail` and `clip`."""

    size: int
    quality: int
    max_seconds: float
    compression: float


# Best first.
LEVELS = (Level(176, 82, 10.0, 0.75), Level(112, 75, 6.0, 0.85), Level(80, 65, 3.0, 0.95))


def thumbnail(jpeg: bytes, size: int, quality: int) -> bytes:
    """Returns a JPEG no larger than `size` x `size` pixels, without the metadata of the original.

    Args:
      jpeg: the photograph.
      size: Longer side in pixels; a smaller photograph keeps its own.
      quality: Quality of the JPEG, 1 to 95.
    """
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()


def clip(pcm: bytes, max_seconds: float, compression: float) -> tuple[str, bytes]:
    """Returns (MIME type, file) of a recording: MP3, which every browser plays, or else WAV.

    Args:
      pcm: PCM16 little-endian, mono, 16 kHz.
      max_seconds: only that much from its start.
      compression: 0 (least) to 1 (most); 0.8 is about 30 kbit/s. WAV ignores it.
    """
    samples = np.frombuffer(pcm, "<i2")[: round(max_seconds * tensors.SAMPLE_RATE_HZ)]
    file = io.BytesIO()
    if "MP3" in soundfile.available_formats():  # libsndfile can be built without
        soundfile.write(
            file,
            samples,
            tensors.SAMPLE_RATE_HZ,
            format="MP3",
            bitrate_mode="VARIABLE",
            compression_level=compression,
        )
        return "audio/mpeg", file.getvalue()
    soundfile.write(file, samples, tensors.SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return "audio/wav", file.getvalue()


def peaks(pcm: bytes, max_seconds: float) -> list[int]:
    """Returns `NUM_PEAKS` numbers 0 .. 99: how loud each stretch of a recording is.

    Args:
      pcm: PCM16 little-endian, mono, 16 kHz.
      max_seconds: only that much from its start.
    """
    samples = np.frombuffer(pcm, "<i2")[: round(max_seconds * tensors.SAMPLE_RATE_HZ)]
    parts = np.array_split(np.abs(samples.astype(np.float64)), NUM_PEAKS)
    loudness = np.array([part.mean() if len(part) else 0.0 for part in parts])
    return np.round(99 * loudness / max(loudness.max(), 1.0)).astype(int).tolist()


def data_uri(mime: str, content: bytes) -> str:
    """Returns `data:` followed by the content, which a page can play or show without a file."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def image_at(jpeg: bytes, level: Level) -> str:
    """Returns a JPEG at a level, as a data URI."""
    return data_uri("image/jpeg", thumbnail(jpeg, level.size, level.quality))


def audio_at(pcm: bytes, level: Level) -> str:
    """Returns a recording (PCM16 little-endian, mono, 16 kHz) at a level, as a data URI."""
    return data_uri(*clip(pcm, level.max_seconds, level.compression))
