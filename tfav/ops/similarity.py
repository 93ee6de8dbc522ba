"""Cosine similarity, in full precision whatever comes in."""

import tensorflow as tf

from tfav.ops import precision


def normalize(x: tf.Tensor) -> tf.Tensor:
    """Returns `x` with unit vectors along its last axis, in full precision; zero vectors stay zero.

    Args:
      x: Vectors [..., D] of any float dtype.
    """
    # The epsilon floors the *squared* norm: 1e-24 is the originals' floor of 1e-12 on the norm.
    return tf.math.l2_normalize(precision.full(x), axis=-1, epsilon=1e-24)


def cosine_matrix(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Returns the cosines of all pairs, [A, B] in full precision, in [-1, 1].

    Args:
      a: Vectors [A, D] of any float dtype.
      b: Vectors [B, D] of any float dtype.
    """
    return tf.matmul(normalize(a), normalize(b), transpose_b=True)
