"""The type that front-ends, statistics, heads and losses compute in, whatever the encoders do.

It is float32 under the Keras policies `float32` and `mixed_bfloat16`. Under `float64` all of the
library computes in float64: several times slower, and what tells rounding from a mistake, because
in float32 one rectifier that switches under rounding moves a gradient by percents.
"""

import keras
import tensorflow as tf


def full_dtype() -> str:
    """Returns the name of that type, for layers that are made under the global Keras policy."""
    return keras.mixed_precision.global_policy().variable_dtype


def full(x: tf.Tensor) -> tf.Tensor:
    """Returns `x`, of any float dtype and shape, as a tensor of float32; float64 stays.

    The tensor tells and not the policy, which Keras keeps for each thread: replicas run in others.
    """
    x = tf.convert_to_tensor(x)
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)
