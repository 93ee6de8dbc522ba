"""What moves: pictures made of a frame of a video and the one after it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfav import registry

MAX_PIXELS = 20.0  # a faster movement is clipped to this


def flow(this: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Dense optical flow by Farneback's method, as a picture.

    Args:
      this: [H, W, 3] uint8 RGB.
      after: the next frame, alike.

    Returns:
      [H, W, 3] uint8: to the right and downwards, 128 where nothing moves and 127 / 20 a pixel
      (clipped to +-20 pixels); then the length, 255 / 20 a pixel.

    Raises:
      UserError: OpenCV is not installed.
    """
    cv2 = _cv2()
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (this, after)]
    moved = cv2.calcOpticalFlowFarneback(
        *grey,
        None,
        pyr_scale=0.5,
        levels=3,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.2,
        flags=0,
    )
    return _drawn(moved)


def _drawn(moved: np.ndarray) -> np.ndarray:
    """Returns [H, W, 2] float, pixels to the right and downwards, as the picture of `flow`."""
    length = np.minimum(np.hypot(moved[..., 0], moved[..., 1]), MAX_PIXELS)
    sideways = 128 + np.clip(moved, -MAX_PIXELS, MAX_PIXELS) * (127 / MAX_PIXELS)
    drawn = np.concatenate([sideways, length[..., None] * (255 / MAX_PIXELS)], axis=-1)
    return np.rint(drawn).astype(np.uint8)


def difference(this: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns 128 + (after - this) / 2, rounded down, of two frames [H, W, 3] uint8 RGB; alike."""
    return ((256 + after.astype(np.int16) - this) // 2).astype(np.uint8)


# Values of --derive, each also the name of the modality that it makes.
DERIVED: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "flow": flow,
    "diff": difference,
}


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise registry.UserError(
            "--derive=flow needs OpenCV, which the extra `video` brings: pip install 'tfav[video]' "
            "(from the sources: pip install -e '.[video]')."
        ) from error
    cv2.setNumThreads(1)  # rows are decoded in parallel already
    return cv2
