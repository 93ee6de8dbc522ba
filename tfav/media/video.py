"""Videos of any kind in; their sound, and the JPEG bytes of a few of their frames, out.

Times count from where the file's earliest stream starts, so sound and picture agree. Rates that
headers claim are never used: what counts is the time stamp of each frame.
"""

import bisect
import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from tfav import tensors
from tfav.media import container, decode, motion

_MAX_DRIFT_SECONDS = 0.05  # time stamps of sound are rounded; beyond this they mean a gap
_MAX_GAP_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class Frames:
    """Pictures of one video.

    Attributes:
      jpeg: `image`, and each derived modality that there is, to JPEG bytes of its frames, in order.
      seconds: when each frame of `image` is first shown.
      height: in pixels, of all of them; likewise `width`.
    """

    jpeg: Mapping[str, Sequence[bytes]]
    seconds: Sequence[float]
    height: int
    width: int


@dataclasses.dataclass(frozen=True)
class Description:
    """What a video's headers say.

    Attributes:
      seconds: how long it lasts, 0 when they do not say.
      audio: `44100 Hz, 2 channels, mp2`, or empty without sound.
      image: `360x288, mpeg1video`, or empty without a picture.
    """

    seconds: float
    audio: str
    image: str


def describe(path: str | os.PathLike) -> Description:
    """Describes a video without decoding it. Raises BadFile when it cannot be opened."""
    with container.opened(path) as file:
        audio, image = (container.stream(file, kind) for kind in ("audio", "video"))
        plural = "s" if audio and audio.channels != 1 else ""
        return Description(
            seconds=(file.duration or 0) / 1e6,
            audio=f"{audio.rate} Hz, {audio.channels} channel{plural}, {audio.codec_context.name}"
            if audio
            else "",
            image=f"{image.width}x{image.height}, {image.codec_context.name}" if image else "",
        )


def read_audio(
    path: str | os.PathLike,
    channel: str = "mean",
    *,
    start_seconds: float = 0.0,
    length_seconds: float = 0.0,
) -> np.ndarray | None:
    """Decodes the sound of a video, or of a part of it.

    Args:
      path: of the file.
      channel: as `decode.read_audio` takes it.
      start_seconds: where the part starts.
      length_seconds: how long it lasts; 0: to the end. The sound is shorter where the video ends.

    Returns:
      [T] float32, mono, 16 kHz, in [-1, 1] but for the overshoot of lossy codecs and resampling;
      None when the video has no sound or this part is silent. Where the sound has gaps, zeros.

    Raises:
      BadFile: no video, damaged, nothing of it left at `start_seconds`, or sound that cannot be
        used, as `decode.read_audio` says.
    """
    if channel not in decode.CHANNELS:
        raise ValueError(f"channel {channel!r} is none of {decode.CHANNELS}")
    with container.opened(path) as file:
        if container.stream(file, "audio") is None:
            return None
    blocks, position, rate_hz, limit = [], None, None, None
    start = Fraction(start_seconds)
    with contextlib.closing(container.frames(path, "audio", start)) as frames:
        for seconds, frame in frames:
            if rate_hz is None:
                rate_hz = frame.sample_rate
                limit = round(length_seconds * rate_hz) if length_seconds else None
            if frame.sample_rate != rate_hz:
                raise decode.BadFile(f"changes its rate from {rate_hz} to {frame.sample_rate} Hz")
            stamp = round((seconds - start) * rate_hz)
            gap = 0 if position is None else stamp - position
            if gap > _MAX_GAP_SECONDS * rate_hz:
                raise decode.BadFile(f"has a gap of {gap / rate_hz:.0f} s in its sound")
            if position is None or gap > _MAX_DRIFT_SECONDS * rate_hz:
                position = stamp
            if limit is not None and position >= limit:
                break
            samples = _mono(frame, channel)
            if position + len(samples) > 0:
                blocks.append((max(0, position), samples[max(0, -position) :]))
            position += len(samples)
    if not blocks:
        raise decode.BadFile(f"has no sound {_part(start_seconds)}".rstrip())
    whole = np.zeros(blocks[-1][0] + len(blocks[-1][1]), np.float32)
    for position, samples in blocks:
        whole[position : position + len(samples)] = samples
    if np.abs(whole[:limit]).max() < decode.MIN_PEAK:
        return None
    sound = decode.checked_audio(whole[:limit], rate_hz)
    return sound[: round(length_seconds * tensors.SAMPLE_RATE_HZ) or None]


def read_frames(
    path: str | os.PathLike,
    num_frames: int = 1,
    *,
    frames_per_second: float = 0.0,
    start_seconds: float = 0.0,
    length_seconds: float = 0.0,
    max_side: int = 512,
    derive: Sequence[str] = (),
) -> Frames | None:
    """Takes frames of a video, or of a part of it, evenly spaced in time.

    The part is cut into equal pieces, and the frame shown in the middle of each is taken: no frame
    twice, so a video that has fewer gives what it has. At no time are more than four decoded
    frames in memory.

    Args:
      path: of the file.
      num_frames: how many to take.
      frames_per_second: when above 0, as many as that makes (at least one) instead.
      start_seconds: where the part starts.
      length_seconds: how long it lasts; 0: to the end.
      max_side: longest side in pixels that is kept; larger frames shrink, keeping their aspect.
      derive: rows of `motion.DERIVED`, made of each taken frame and the next one of the video (of
        the last frame and the one before it). A video of one frame has none.

    Returns:
      the frames, or None when the video has no picture.

    Raises:
      BadFile: no video, damaged, no time stamps, nothing of it left at `start_seconds`, or a side
        shorter than 16 pixels.
      UserError: flow is to be derived and OpenCV is not installed.
    """
    with container.opened(path) as file:
        if container.stream(file, "video") is None:
            return None
    low, high = _extent(path, Fraction(start_seconds), Fraction(length_seconds))
    if frames_per_second:
        num_frames = max(1, round((high - low) * Fraction(frames_per_second)))
    times = [low + (high - low) * (2 * i + 1) / (2 * num_frames) for i in range(num_frames)]
    jpeg, seconds, size = {"image": [], **{name: [] for name in derive}}, [], None
    for when, before, this, after in _shown(path, times):
        image = _picture(this, max_side)
        jpeg["image"].append(decode.to_jpeg(image))
        seconds.append(float(when))
        size = size or image.size
        if not derive or (before is None and after is None):
            continue
        pair = (this, after) if after is not None else (before, this)
        pixels = [np.asarray(image if x is this else _picture(x, max_side)) for x in pair]
        if pixels[0].shape != pixels[1].shape:
            raise decode.BadFile("changes the size of its picture")
        for name in derive:
            drawn = Image.fromarray(motion.DERIVED[name](*pixels))
            jpeg[name].append(decode.to_jpeg(drawn, full_colour=True))
    return Frames({name: x for name, x in jpeg.items() if x}, seconds, size[1], size[0])


def _extent(
    path: str | os.PathLike, start: Fraction, length: Fraction
) -> tuple[Fraction, Fraction]:
    """Returns from when to when the video has a picture, within the part, by its packets' times."""
    times = []
    with contextlib.closing(container.packets(path, "video", start)) as packets:
        for seconds, _ in packets:
            bisect.insort(times, seconds)
            if length and seconds > start + length + 1:  # a second: packets come out of order
                break
    if not times:
        raise decode.BadFile("has no picture that can be decoded")
    gaps = sorted(b - a for a, b in zip(times, times[1:]))
    low, high = max(start, times[0]), times[-1] + (gaps[len(gaps) // 2] if gaps else 0)
    if length:
        high = min(high, start + length)
    if low > high or (low == high and gaps):
        raise decode.BadFile(f"has no picture {_part(float(start))}".rstrip())
    return low, high


def _shown(path: str | os.PathLike, times: Sequence[Fraction]) -> Iterator[tuple]:
    """Yields each frame that shows at one of the rising `times`, once.

    With it come its own time, the frame before it where that is at hand, and the one after it.
    """
    with contextlib.ExitStack() as opened:
        this = after = None
        for number, time in enumerate(times):
            new = not number
            if new or (after is not None and time - after[0] > container.SEEK_SECONDS):
                opened.close()
                frames = opened.enter_context(
                    contextlib.closing(container.frames(path, "video", time))
                )
                before, this, after = None, next(frames, None), next(frames, None)
                new = True
            if this is None:
                raise decode.BadFile("has no picture that can be decoded")
            while after is not None and after[0] <= time:
                before, this, after, new = this, after, next(frames, None), True
            if new and this[1].is_corrupt:
                raise decode.BadFile(f"is damaged at {float(this[0]):.2f} s")
            if new:
                yield this[0], before and before[1], this[1], after and after[1]


def _mono(frame: Any, channel: str) -> np.ndarray:
    """Returns a frame of sound as [T] float32 in [-1, 1]."""
    samples = frame.to_ndarray()
    kind = samples.dtype
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    samples = samples[0] if channel == "left" else samples.mean(axis=0, dtype=np.float64)
    if kind.kind == "u":
        samples = (samples - 128.0) / 128.0
    elif kind.kind == "i":
        samples = samples / -float(np.iinfo(kind).min)
    return samples.astype(np.float32)


def _picture(frame: Any, max_side: int) -> Image.Image:
    """Returns a frame as RGB, upright, no larger than `max_side`."""
    pixels = frame.to_ndarray(format="rgb24")
    image = Image.fromarray(np.rot90(pixels, frame.rotation // 90))
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    decode.check_side(image)
    return image


def _part(start_seconds: float) -> str:
    return f"from {start_seconds:g} s on" if start_seconds else ""
