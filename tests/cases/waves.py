"""WAV files as others write them: from a pipe, with odd chunks, at impossible rates."""

import pathlib
import struct

import numpy as np

RATE_HZ = 16_000
SECONDS = 0.7


def voice(seed: int = 0, seconds: float = SECONDS) -> np.ndarray:
    """Returns [T] int16 at 16 kHz of a chirp in noise."""
    time = np.arange(round(RATE_HZ * seconds)) / RATE_HZ
    noise = 0.05 * np.random.default_rng(seed).standard_normal(len(time))
    wave = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time) + noise
    return np.round(32_767 * wave).astype(np.int16)


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """Returns a chunk; `size` is what it says of itself. No pad byte."""
    return name + struct.pack("<I", len(content) if size is None else size) + content


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    """Returns a WAV file of chunks."""
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks), size)


def form(rate_hz: int = RATE_HZ, channels: int = 1) -> bytes:
    """Returns the chunk that says PCM16."""
    block = 2 * channels
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, rate_hz, block * rate_hz, block, 16))


def write(folder: pathlib.Path) -> None:
    """Writes `voice.wav` and what is odd about it under the names of the cases."""
    samples = voice()
    content = samples.astype("<i2").tobytes()
    said = 0xFFFFFFFF
    odd = chunk(b"LIST", b"INFOISFT\x05\0\0\0abcde")
    written_by = chunk(b"LIST", b"INFOISFT\x06\0\0\0Lavf6\0")
    both = np.stack([samples, -samples], axis=1).astype("<i2").tobytes()
    files = {
        "voice.wav": riff(form(), chunk(b"data", content)),
        "01_stream_ffff.wav": riff(form(), chunk(b"data", content, said), size=said),
        "04_odd_chunk_nopad.wav": riff(form(), odd, chunk(b"data", content)),
        "10_ffmpeg_pipe.wav": riff(form(), written_by, chunk(b"data", content, said), size=said),
        "25_antiphase.wav": riff(form(channels=2), chunk(b"data", both)),
        "46_rate1.wav": riff(form(rate_hz=1), chunk(b"data", content)),
    }
    for name, file in files.items():
        (folder / name).write_bytes(file)
