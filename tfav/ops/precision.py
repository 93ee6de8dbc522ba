"""The type that front-ends, statistics, heads and losses compute in, whatever the encoders do.

It is float32 under the Keras policies `float32` and `mixed_bfloat16`. Under `float64` all of the
library computes in float64: this is several times slower, and it tells rounding from a mistake,
because in float32 one rectifier that switches under rounding moves a gradient by percents.
"""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf


def full_dtype() -> str:
    """Returns the name of that type, for layers that are made under the global Keras policy."""
    return keras.mixed_precision.global_policy().variable_dtype


def full(x: tf.Tensor) -> tf.Tensor:
    """Returns `x`, of any float dtype and shape, as a tensor of float32; float64 stays.

    The tensor decides and not the policy, which Keras keeps per thread: replicas run in others.
    """
    x = tf.convert_to_tensor(x)
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Sets the global Keras policy for a block, and puts back the one before it.

    Args:
      name: Name of the policy, such as `mixed_bfloat16`.
    """
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
