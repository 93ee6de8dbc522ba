"""How a frame of a video is shown: upright, not mirrored, with square pixels."""

from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image


def upright(pixels: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Turns and mirrors a frame as players do, in steps of 90 degrees.

    Args:
      pixels: [H, W, 3] as coded.
      matrix: [3, 3] int, FFmpeg's display matrix: a pixel (x, y) goes to
        (a x + c y, b x + d y), where its rows begin with (a, b) and (c, d); None: as it is.

    Returns:
      [H, W, 3] or [W, H, 3].
    """
    if matrix is None:
        return pixels
    (a, b), (c, d) = matrix[:2, :2].astype(np.int64)
    across, down = (a, d)
    if abs(b) + abs(c) > abs(a) + abs(d):  # x becomes y
        pixels, across, down = pixels.transpose(1, 0, 2), c, b
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def display_matrix(frame: Any) -> np.ndarray | None:
    """Returns the display matrix [3, 3] of an `av.VideoFrame`, None without one."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return np.frombuffer(bytes(data), np.int32).reshape(3, 3)
    return None


def square_pixels(image: Image.Image, aspect: Fraction | None, max_side: int) -> Image.Image:
    """Makes pixels square by stretching the shorter way, no further than `max_side`.

    Args:
      image: as coded.
      aspect: of its pixels, width to height; None or 0: not known, they are square.
      max_side: longest side of the result in pixels.
    """
    if not aspect or aspect == 1:
        return image
    width = image.width * max(aspect, Fraction(1))
    height = image.height / min(aspect, Fraction(1))
    shrink = min(Fraction(1), Fraction(max_side) / max(width, height))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    return image.resize(size, Image.Resampling.LANCZOS)
