"""The sound of a video, or of a file that FFmpeg alone reads; or of a part of it.

Times count from where the file's earliest stream starts, so sound and picture agree. Rates that
headers claim are never used: what counts is the time stamp of each frame.
"""

import contextlib
import os
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tfav import tensors
from tfav.media import bad_file, container, limits, mono

_MAX_DRIFT_SECONDS = 0.05  # time stamps of sound are rounded; beyond this they mean a gap
_MAX_GAP_SECONDS = 3600.0
_GAP_BLOCK = 1 << 20


def read_audio(
    path: str | os.PathLike,
    channel: str = "mean",
    *,
    start_seconds: float = 0.0,
    length_seconds: float = 0.0,
    bounds: limits.Limits = limits.DEFAULT,
    dtype: npt.DTypeLike = np.float32,
) -> np.ndarray | None:
    """Decodes the sound of a video, or of a part of it.

    Args:
      path: of the file.
      channel: as `audio_files.read_audio` takes it.
      start_seconds: where the part starts.
      length_seconds: how long it lasts; 0: to the end. The sound is shorter where the video ends.
      bounds: what is refused as too long or at an impossible rate.
      dtype: float32, or int16 for PCM16.

    Returns:
      [T] of `dtype`, mono, 16 kHz, as `audio_files.read_audio`;
      None when the video has no sound or this part is silent. Where the sound has gaps, zeros.

    Raises:
      BadFile: no video, damaged, nothing of it left at `start_seconds`, or sound that cannot be
        used, as `Mono.finish` says.
      UserError: PyAV is not installed.
    """
    with mono.Mono(channel, bounds, dtype) as sound:
        if not decode(path, sound, start_seconds, length_seconds) or sound.silent:
            return None
        return sound.finish()[: round(length_seconds * tensors.SAMPLE_RATE_HZ) or None]


def decode(
    path: str | os.PathLike, sound: mono.Mono, start_seconds: float, length_seconds: float
) -> bool:
    """Decodes a part of the sound of `path` into `sound`; returns whether there is any.

    Raises:
      BadFile: as `read_audio` says, but for what `Mono.finish` finds.
    """
    with container.opened(path, sound.bounds) as file:
        if container.stream(file, "audio") is None:
            return False
    start, end = Fraction(start_seconds), None  # end of what came by now, in samples of the part
    with contextlib.closing(container.Stream(path, "audio", sound.bounds).frames(start)) as frames:
        for seconds, frame in frames:
            sound.start(frame.sample_rate)
            rate_hz = sound.rate_hz
            limit = round(length_seconds * rate_hz) if length_seconds else None
            position = stamp = round((seconds - start) * rate_hz)
            if end is not None:
                gap = stamp - end
                if gap > _MAX_GAP_SECONDS * rate_hz:
                    raise bad_file.BadFile(f"has a gap of {gap / rate_hz:.0f} s in its sound")
                position = stamp if gap > _MAX_DRIFT_SECONDS * rate_hz else end
            if limit is not None and position >= limit:
                break
            _add_silence(sound, max(0, end or 0), position)
            samples, loudest = _mono(frame, sound.channel)
            sound.add_mono(
                samples[max(0, -position) : None if limit is None else limit - position], loudest
            )
            end = position + len(samples)
    if end is None or end <= 0:
        where = f" from {start_seconds:g} s on" if start_seconds else ""
        raise bad_file.BadFile(f"has no sound{where}")
    return True


def _add_silence(sound: mono.Mono, start: int, stop: int) -> None:
    for at in range(start, stop, _GAP_BLOCK):
        sound.add_mono(np.zeros(min(_GAP_BLOCK, stop - at), np.float32))


def _mono(frame: Any, channel: str) -> tuple[np.ndarray, float]:
    """Returns a frame of sound as [T] float32 in [-1, 1], and the peak of all its channels."""
    samples = frame.to_ndarray()
    kind = samples.dtype
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    loudest = np.abs(samples.astype(np.float32) - (128 if kind.kind == "u" else 0)).max(initial=0)
    samples = samples[0] if channel == "left" else samples.mean(axis=0, dtype=np.float64)
    scale = 1.0
    if kind.kind == "u":
        samples, scale = samples - 128.0, 128.0
    elif kind.kind == "i":
        scale = -float(np.iinfo(kind).min)
    return (samples / scale).astype(np.float32), float(loudest) / scale
