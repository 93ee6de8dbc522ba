"""Tiny videos whose frames show their own number."""

import fractions
import os

import av
import numpy as np

RATE_HZ = 16_000
HEIGHT, WIDTH = 48, 64


def numbered(number: int) -> np.ndarray:
    """Returns [48, 64, 3] uint8: `number` (below 256) in binary, as eight black or white bars."""
    bits = np.array([number >> k & 1 for k in range(8)], np.uint8) * 255
    return np.broadcast_to(np.repeat(bits, WIDTH // 8)[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def number(pixels: np.ndarray) -> int:
    """Returns the number that `numbered` drew, even in a lossy copy."""
    bars = pixels.mean(axis=(0, 2)).reshape(8, -1)[:, 2:-2].mean(axis=1)
    return sum(1 << k for k in range(8) if bars[k] > 128)


def chirp(seconds: float) -> np.ndarray:
    """Returns [T] int16 at 16 kHz, unlike itself at any other time."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.round(16_000 * np.sin(2 * np.pi * (100 + 20 * time) * time)).astype(np.int16)


def write(
    path: str | os.PathLike,
    num_frames: int = 30,
    frames_per_second: int = 10,
    *,
    sound: np.ndarray | None = None,
    pixels: list[np.ndarray] | None = None,
    times: list[int] | None = None,
    codecs: tuple[str, str] = ("mpeg4", "pcm_s16le"),
    title: str = "",
) -> str:
    """Writes a video and returns its path, as text.

    Args:
      path: of the file; its ending names the container.
      num_frames: numbered frames of the picture; 0: no picture.
      frames_per_second: of the picture.
      sound: [T] int16 at 16 kHz of the left channel (the right one is silent); None: no sound.
      pixels: frames to show instead of numbered ones, each [H, W, 3] uint8.
      times: when each frame shows, in units of 1 / frames_per_second; None: one after the other.
      codecs: of the picture and of the sound.
      title: of the metadata.
    """
    pixels = [numbered(k) for k in range(num_frames)] if pixels is None else pixels
    with av.open(os.fspath(path), "w") as file:
        if title:
            file.metadata["title"] = title
        picture = voice = None
        if pixels:
            picture = file.add_stream(codecs[0], rate=frames_per_second)
            picture.height, picture.width = pixels[0].shape[:2]
            picture.pix_fmt = "yuv420p"
            picture.bit_rate = 2_000_000
        if sound is not None:
            voice = file.add_stream(codecs[1], rate=RATE_HZ, layout="stereo")
        for k, image in enumerate(pixels):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = k if times is None else times[k]
            frame.time_base = fractions.Fraction(1, frames_per_second)
            file.mux(picture.encode(frame))
        if picture:
            file.mux(picture.encode())
        if voice:
            stereo = np.stack([sound, np.zeros_like(sound)], axis=1).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = RATE_HZ, 0
            fifo = av.AudioFifo()
            fifo.write(frame)
            for part in fifo.read_many(voice.codec_context.frame_size or 1024, partial=True):
                file.mux(voice.encode(part))
            file.mux(voice.encode())
    return os.fspath(path)
