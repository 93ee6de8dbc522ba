"""The rectifier with a learned slope, and its gradient written out."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfav.layers import layer
from tfav.ops import precision


@keras.saving.register_keras_serializable("tfav")
class PReLU(layer.Layer):
    """One slope per channel below zero (He et al., ICCV 2015), 0.25 at first.

    In training its gradient is written out: Keras's form keeps and moves twice as many bytes.
    Elsewhere the form is Keras's to the letter, a sum with a negated slope, which the TFLite
    converter makes one op; a difference is the same number and becomes five ops, slow in 8 bits.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates `alpha` [1, 1, C]."""
        self.alpha = self.add_weight(
            name="alpha",
            shape=(1, 1, input_shape[-1]),
            initializer=keras.initializers.Constant(0.25),
            trainable=True,
        )
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns `x` [B, H, W, C] where it is positive, elsewhere `alpha * x`."""
        alpha = tf.cast(self.alpha, x.dtype)
        return _prelu(x, alpha) if training else tf.nn.relu(x) + -alpha * tf.nn.relu(-x)


@tf.custom_gradient
def _prelu(x: tf.Tensor, alpha: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    positive = x > 0
    y = tf.where(positive, x, alpha * x)

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        below = tf.where(positive, tf.zeros([], dy.dtype), dy)
        if x.dtype == tf.float64:
            change, at_alpha = (alpha - 1) * below, tf.reduce_sum(below * x, axis=[0, 1, 2])
        else:
            # The gradient of a batch norm with mean 0 and variance 1: (alpha - 1) below, and the
            # sum of below x for each channel, in one pass over both.
            slope = tf.reshape(precision.full(alpha) - 1, [-1])
            change, at_alpha, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=below,
                x=x,
                scale=slope,
                reserve_space_1=tf.zeros_like(slope),
                reserve_space_2=tf.ones_like(slope),
                reserve_space_3=[],
                epsilon=0.0,
                is_training=False,
            )
        return dy + change, tf.cast(at_alpha, alpha.dtype)[tf.newaxis, tf.newaxis]

    return y, gradient
