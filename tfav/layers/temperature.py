"""The learnt temperature of a softmax over cosines, with a ceiling for its inverse."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import layer
from tfav.ops import distributed, precision


@keras.saving.register_keras_serializable("tfav")
class Temperature(layer.Layer):
    """Multiplies by `s = min(exp(w), max_scale)`, one over the temperature, in float32.

    Without a ceiling s grows as long as pairs are told apart, and the loss looks at the hardest
    ones alone (CLIP, Radford et al., 2021). At the ceiling w stops growing: its gradient is left
    out where a step against it would raise s, so that s comes down as soon as the loss asks for it.
    On several replicas the gradient of the global batch decides.

    Args:
      temperature: Temperature at the start, positive.
      max_scale: Ceiling of s, at least one over `temperature`.
      name: Name of the layer.

    Raises:
      UserError: A value is out of its range.
    """

    def __init__(
        self, temperature: float = 0.07, max_scale: float = 100.0, *, name: str = "temperature"
    ):
        super().__init__(name=name, dtype=precision.full_dtype(), autocast=False)
        if not 0 < temperature < math.inf:
            raise registry.UserError(
                f"temperature={temperature} must be positive: the default is 0.07."
            )
        if not 1 / temperature <= max_scale < math.inf:
            raise registry.UserError(
                f"max_scale={max_scale} is below 1 / temperature = {1 / temperature:g}, where the "
                "scale starts: raise one of them."
            )
        self.remember(temperature=temperature, max_scale=max_scale)
        self.max_scale = max_scale
        self.log_scale = self.add_weight(
            name="log_scale",
            shape=(),
            initializer=keras.initializers.Constant(-math.log(temperature)),
            trainable=True,
            dtype=precision.full_dtype(),
        )

    def scale(self) -> tf.Tensor:
        """Returns s, []."""
        return _bounded(tf.convert_to_tensor(self.log_scale), math.log(self.max_scale))

    def call(self, cosines: tf.Tensor) -> tf.Tensor:
        """Returns `s * cosines`, of any shape."""
        return self.scale() * precision.full(cosines)


def _bounded(log_scale: tf.Tensor, ceiling: float) -> tf.Tensor:
    """Returns `exp(min(log_scale, ceiling))`, whose gradient at the ceiling only points down."""

    @tf.custom_gradient
    def bounded(log_scale: tf.Tensor) -> tuple[tf.Tensor, Any]:
        value = tf.exp(tf.minimum(log_scale, tf.cast(ceiling, log_scale.dtype)))

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            own = upstream * value
            whole = tf.reduce_sum(distributed.gather(own[tf.newaxis]))
            return tf.where((log_scale >= ceiling) & (whole < 0), tf.zeros_like(own), own)

        return value, gradient

    return bounded(log_scale)
