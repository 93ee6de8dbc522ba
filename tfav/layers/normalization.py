"""Batch norm whose statistics are those of the global batch, on one replica and on many."""

from typing import Any

import keras
import tensorflow as tf

from tfav import compat
from tfav.layers import layer
from tfav.ops import distributed, precision


@keras.saving.register_keras_serializable("tfav")
class BatchNorm(layer.Layer):
    """Batch norm over all axes but the last (Ioffe and Szegedy, ICML 2015), synchronized.

    `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, statistics in full precision. One
    formula serves any number of replicas: each takes the mean and the mean squared deviation from
    it of its own rows, and those of the global batch follow from theirs (Chan et al., 1979):
    `variance = mean_r(variance_r + (mean_r - mean)^2)`. Keras takes `E(x^2) - E(x)^2`, which
    cancels where a mean is large beside its deviation. Every replica holds the same number of rows.

    The moving statistics follow the biased variance, and every replica assigns the same values.

    Args:
      epsilon: Number added to the variance; PyTorch's by default.
      momentum: Share of the moving statistics that a step keeps; PyTorch's, counted as Keras does.
      gamma_initializer: Initializer of the gains.
      **kwargs: `name`, and `dtype` of the output; by default what the policy computes in.
    """

    def __init__(
        self,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        gamma_initializer: Any = "ones",
        **kwargs: Any,
    ):
        output = kwargs.pop("dtype", None) or keras.mixed_precision.global_policy().compute_dtype
        # Inside the layer Keras 3 would round its weights to the type of the policy.
        super().__init__(dtype=precision.full_dtype(), autocast=False, **kwargs)
        self.output_dtype = output
        self.epsilon = epsilon
        self.momentum = momentum
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.remember(
            epsilon=epsilon,
            momentum=momentum,
            gamma_initializer=keras.initializers.serialize(self.gamma_initializer),
            dtype=output,
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates `gamma`, `beta`, `moving_mean` and `moving_variance`, [C] each."""
        rows = {
            "gamma": (self.gamma_initializer, True),
            "beta": ("zeros", True),
            "moving_mean": ("zeros", False),
            "moving_variance": ("ones", False),
        }
        for name, (initializer, trainable) in rows.items():
            weight = self.add_weight(
                name=name, shape=(input_shape[-1],), initializer=initializer, trainable=trainable
            )
            setattr(self, name, weight)
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns [..., C] of the output's type; in training also moves the statistics.

        Args:
          x: Features [..., C] of any float dtype.
          training: Python bool, whether the statistics of the batch are used.
        """
        x = precision.full(x)
        gamma, beta = compat.raw(self.gamma), compat.raw(self.beta)
        moving = compat.raw(self.moving_mean), compat.raw(self.moving_variance)
        if training:
            mean, variance = global_moments(x)
            for average, value in zip(moving, (mean, variance)):
                kept = self.momentum * average + (1.0 - self.momentum) * tf.stop_gradient(value)
                average.assign(kept)
            y = (x - mean) * (tf.math.rsqrt(variance + self.epsilon) * gamma) + beta
        else:
            y = tf.nn.batch_normalization(x, *moving, beta, gamma, self.epsilon)
        return tf.cast(y, self.output_dtype)


def global_moments(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and biased variance [C] of [..., C] over the rows of all replicas.

    Args:
      x: Features, float32 or float64, the same number of rows on every replica.
    """
    mean, variance = tf.nn.moments(x, list(range(x.shape.rank - 1)))
    if distributed.num_replicas() == 1:
        return mean, variance
    means, variances = tf.unstack(
        distributed.gather(tf.stack([mean, variance])[tf.newaxis]), axis=1
    )
    mean = tf.reduce_mean(means, axis=0)
    return mean, tf.reduce_mean(variances + tf.square(means - mean), axis=0)
