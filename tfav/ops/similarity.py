"""Cosine similarity, in full precision whatever comes in."""

import tensorflow as tf

from tfav.ops import precision

# The floor of a *squared* norm: 1e-24 is the originals' floor of 1e-12 on the norm.
_LEAST_SQUARE = 1e-24


def normalize(x: tf.Tensor) -> tf.Tensor:
    """Returns `x` with unit vectors along its last axis, in full precision; zero vectors stay zero.

    Args:
      x: Vectors [..., D] of any float dtype.
    """
    return tf.math.l2_normalize(precision.full(x), axis=-1, epsilon=_LEAST_SQUARE)


def length(x: tf.Tensor) -> tf.Tensor:
    """Returns the lengths of vectors, [...]: `length(x) * normalize(x)` is `x`, a zero one too.

    Args:
      x: Vectors [..., D] of any float dtype.
    """
    square = tf.reduce_sum(tf.square(precision.full(x)), axis=-1)
    return tf.sqrt(tf.maximum(square, _LEAST_SQUARE))


def cosine_matrix(a: tf.Tensor, b: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
    """Returns the cosines of all pairs times `scale`, [A, B] in full precision.

    Args:
      a: Vectors [A, D] of any float dtype.
      b: Vectors [B, D] of any float dtype.
      scale: Factor of the cosines.
    """
    # The factor meets the A rows and not the A x B products, in value and in gradient.
    return tf.matmul(scale * normalize(a), normalize(b), transpose_b=True)
