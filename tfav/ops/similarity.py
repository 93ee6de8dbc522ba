"""Cosine similarity, in float32 whatever comes in."""

import tensorflow as tf


def normalize(x: tf.Tensor) -> tf.Tensor:
    """Returns float32 `x` with unit vectors along its last axis; a zero vector stays zero.

    Args:
      x: [..., D] of any float dtype.
    """
    # The epsilon floors the *squared* norm: 1e-24 is the originals' floor of 1e-12 on the norm.
    return tf.math.l2_normalize(tf.cast(x, tf.float32), axis=-1, epsilon=1e-24)


def cosine_matrix(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Returns the cosines of all pairs, float32 [A, B], in [-1, 1].

    Args:
      a: [A, D] of any float dtype.
      b: [B, D] of any float dtype.
    """
    return tf.matmul(normalize(a), normalize(b), transpose_b=True)
