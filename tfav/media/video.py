"""Videos of any kind in; the JPEG bytes of a few of their frames out.

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

from tfav.media import bad_file, container, geometry, image_files, limits, motion


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
        image = container.stream(file, "video")
        return Description(
            seconds=(file.duration or 0) / 1e6,
            audio=container.describe_audio(container.stream(file, "audio")),
            image=f"{image.width}x{image.height}, {image.codec_context.name}" if image else "",
        )


def read_frames(
    path: str | os.PathLike,
    num_frames: int = 1,
    *,
    frames_per_second: float = 0.0,
    start_seconds: float = 0.0,
    length_seconds: float = 0.0,
    max_side: int = 512,
    derive: Sequence[str] = (),
    bounds: limits.Limits = limits.DEFAULT,
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
      bounds: of the size of a frame, and of what all of them together take.

    Returns:
      the frames as a player shows them (upright, not mirrored, square pixels), or None when the
      video has no picture.

    Raises:
      BadFile: no video, damaged, no time stamps, nothing of it left at `start_seconds`, a side
        shorter than 16 pixels, or beyond `bounds`.
      UserError: flow is to be derived and OpenCV is not installed.
    """
    with container.opened(path, bounds) as file:
        found = container.stream(file, "video", bounds)
        if found is None:
            return None
        aspect = found.sample_aspect_ratio

    def picture(frame: Any) -> Image.Image:
        return _picture(frame, aspect, max_side)

    low, high = _extent(path, Fraction(start_seconds), Fraction(length_seconds), bounds)
    if frames_per_second:
        num_frames = max(1, round((high - low) * Fraction(frames_per_second)))
    jpeg: dict[str, list[bytes]] = {"image": [], **{name: [] for name in derive}}
    seconds: list[float] = []
    width = height = 0
    for when, before, this, after in _shown(path, _middles(low, high, num_frames), bounds):
        image = picture(this)
        jpeg["image"].append(image_files.to_jpeg(image))
        seconds.append(float(when))
        if len(seconds) == 1:
            width, height = image.size
        bounds.check_bytes(sum(len(x) for frames in jpeg.values() for x in frames))
        if not derive or (before is None and after is None):
            continue
        pair = (this, after) if after is not None else (before, this)
        pixels = [np.asarray(image if x is this else picture(x)) for x in pair]
        if pixels[0].shape != pixels[1].shape:
            raise bad_file.BadFile("changes the size of its picture")
        for name in derive:
            drawn = Image.fromarray(motion.DERIVED[name](*pixels))
            jpeg[name].append(image_files.to_jpeg(drawn, full_colour=True))
    return Frames({name: x for name, x in jpeg.items() if x}, seconds, height, width)


def _middles(low: Fraction, high: Fraction, count: int) -> Iterator[Fraction]:
    return (low + (high - low) * (2 * i + 1) / (2 * count) for i in range(count))


def _extent(
    path: str | os.PathLike, start: Fraction, length: Fraction, bounds: limits.Limits
) -> tuple[Fraction, Fraction]:
    """Returns from when to when the video has a picture, within the part, by its packets' times."""
    times: list[Fraction] = []
    packets = container.Stream(path, "video", bounds).packets(start)
    with contextlib.closing(packets):
        for seconds, _ in packets:
            bisect.insort(times, seconds)
            if length and seconds > start + length + 1:  # a second: packets come out of order
                break
    if not times:
        raise bad_file.BadFile("has no picture that can be decoded")
    gaps = sorted(b - a for a, b in zip(times, times[1:]))
    low, high = max(start, times[0]), times[-1] + (gaps[len(gaps) // 2] if gaps else 0)
    if length:
        high = min(high, start + length)
    if high - low > bounds.max_hours * 3600:
        raise bad_file.BadFile(f"lasts longer than --max_hours={bounds.max_hours:g}")
    if low > high or (low == high and gaps):
        raise bad_file.BadFile(f"has no picture {_part(float(start))}".rstrip())
    return low, high


def _shown(
    path: str | os.PathLike, times: Iterator[Fraction], bounds: limits.Limits
) -> Iterator[tuple]:
    """Yields each frame that shows at one of the rising `times`, once.

    With it come its own time, the frame before it where that is at hand, and the one after it.
    """
    stream = container.Stream(path, "video", bounds)
    with contextlib.ExitStack() as opened:
        this = after = None
        for number, time in enumerate(times):
            new = not number
            far = after is not None and time - after[0] > container.SEEK_SECONDS
            if new or (far and stream.jumps):
                opened.close()
                frames = opened.enter_context(contextlib.closing(stream.frames(time)))
                before, this, after = None, next(frames, None), next(frames, None)
                new = True
            if this is None:
                raise bad_file.BadFile("has no picture that can be decoded")
            while after is not None and after[0] <= time:
                before, this, after, new = this, after, next(frames, None), True
            if new and this[1].is_corrupt:
                raise bad_file.BadFile(f"is damaged at {float(this[0]):.2f} s")
            if new:
                yield this[0], before and before[1], this[1], after and after[1]
            if after is None:
                return


def _picture(frame: Any, aspect: Fraction | None, max_side: int) -> Image.Image:
    """Returns a frame as RGB, as it is shown, no larger than `max_side`."""
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    image = geometry.square_pixels(image, aspect, max_side)
    matrix = geometry.display_matrix(frame)
    if matrix is not None:
        image = Image.fromarray(geometry.upright(np.asarray(image), matrix))
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    image_files.check_side(image)
    return image


def _part(start_seconds: float) -> str:
    return f"from {start_seconds:g} s on" if start_seconds else ""
