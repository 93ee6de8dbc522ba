"""From a feature map's positions to the pixels that they look at."""

import numpy as np
import tensorflow as tf

from tfav.encoders import encoder as encoders_base


def at_pixels(num_positions: int, size: int, stride: int, offset: float) -> np.ndarray:
    """Returns the weights of positions at each pixel of one axis, [size, num_positions] float32.

    Position i looks at pixel `stride * i + offset`; between two the weights are linear, and beyond
    the first and the last position that one counts.
    """
    place = np.clip((np.arange(size) - offset) / stride, 0, num_positions - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(num_positions))).astype(np.float32)


def to_pixels(
    values: tf.Tensor, encoder: encoders_base.Encoder, height: int, width: int
) -> tf.Tensor:
    """Returns maps [N, S, S] in [0, 1] of what each position has, S pixels being a side.

    Bilinear between the positions, each map scaled to its own least and greatest value; one that
    says nothing is zero.

    Args:
      values: [B, P], of N = B * P / (height * width) grids.
      encoder: Encoder of images, whose positions they are.
      height: positions of a grid from top to bottom.
      width: positions of a grid from left to right.
    """
    place = (encoder.image_size, encoder.map_stride, encoder.map_offset)
    down, across = (tf.constant(at_pixels(n, *place)) for n in (height, width))
    grid = tf.reshape(values, [-1, height, width])
    maps = tf.einsum("yh,bhw,xw->byx", down, grid, across)
    low = tf.reduce_min(maps, axis=[1, 2], keepdims=True)
    spread = tf.reduce_max(maps, axis=[1, 2], keepdims=True) - low
    return tf.math.divide_no_nan(maps - low, spread)
