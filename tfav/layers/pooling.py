"""Pooling over time: [B, T, C] to [B, C'], in float32, over the valid frames only.

`valid` is [B, T, 1], 1 where a frame belongs to the clip and 0 where it is padding, or None when
all frames belong to it.
"""

from collections.abc import Iterable

import keras
import tensorflow as tf

from tfav.layers import blocks, layer, normalization
from tfav.ops import precision

VARIANCE_FLOOR = 1e-5


def mean(x: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the mean over time of [B, T, C], [B, C] float32."""
    return _weighted_sum(x, _uniform(x, valid))


def mean_and_deviation(x: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
    """Returns mean and standard deviation over time of [B, T, C] joined, [B, 2C] float32."""
    return _moments(x, _uniform(x, valid))


@keras.saving.register_keras_serializable("tfav")
class SelfAttentivePooling(layer.Layer):
    """SAP (Cai et al., 2018): sum of `alpha_t x_t`, `alpha = softmax_t(tanh(A x_t + b) . u)`.

    Args:
      size: Number C of features per frame.
      seeds: Random seeds of the initial weights, two.
      name: Name of the layer.
    """

    def __init__(self, size: int, seeds: Iterable[int], name: str | None = None):
        super().__init__(name=name, dtype=precision.full_dtype())
        seeds = layer.Seeds(seeds)
        self.remember(size=size, seeds=seeds)
        self.linear = blocks.dense(
            size, next(seeds), activation="tanh", dtype=precision.full_dtype()
        )
        self.context = blocks.dense(1, next(seeds), use_bias=False, dtype=precision.full_dtype())

    def call(self, x: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
        """Returns [B, C] of frames [B, T, C]; `valid` [B, T, 1] or None."""
        weight = _softmax_over_time(self.context(self.linear(x)), valid)
        return _weighted_sum(x, weight)


@keras.saving.register_keras_serializable("tfav")
class ChannelAttentivePooling(layer.Layer):
    """Attention per channel; weighted mean and, if asked for, deviation (Okabe et al., 2018).

    `alpha_tc = softmax_t(B norm(relu(A x_t + a)))`: the ASP and, without the deviation, what
    ResNetSE34V2 calls SAP. A bias beside B, which PyTorch's has, would cancel in the softmax.

    Args:
      size: Number C of features per frame.
      hidden_size: Size of the attention's bottleneck.
      deviation: Whether the weighted deviation follows the weighted mean.
      seeds: Random seeds of the initial weights, two.
      name: Name of the layer.
    """

    def __init__(
        self,
        size: int,
        hidden_size: int,
        deviation: bool,
        seeds: Iterable[int],
        name: str | None = None,
    ):
        super().__init__(name=name, dtype=precision.full_dtype())
        seeds = layer.Seeds(seeds)
        self.remember(size=size, hidden_size=hidden_size, deviation=deviation, seeds=seeds)
        self.deviation = deviation
        self.squeeze = blocks.dense(
            hidden_size, next(seeds), activation="relu", dtype=precision.full_dtype()
        )
        self.bn = normalization.BatchNorm(dtype=precision.full_dtype())
        self.attend = blocks.dense(size, next(seeds), use_bias=False, dtype=precision.full_dtype())

    def call(
        self, x: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns [B, C], or [B, 2C] with deviation, of frames [B, T, C]; `valid` [B, T, 1]."""
        score = self.attend(self.bn(self.squeeze(x), training=training))
        weight = _softmax_over_time(score, valid)
        return _moments(x, weight) if self.deviation else _weighted_sum(x, weight)


@keras.saving.register_keras_serializable("tfav")
class ContextAttentivePooling(layer.Layer):
    """Attention per channel that knows the clip: the pooling of ECAPA-TDNN (Desplanques, 2020).

    `alpha_tc = softmax_t(B tanh(norm(relu(A [x_t, mean, deviation] + a))))`, with x's mean and
    deviation over the clip; returns the weighted mean and deviation. A bias beside B, which
    PyTorch's has, would cancel in the softmax.

    Args:
      size: Number C of features per frame.
      hidden_size: Size of the attention's bottleneck.
      seeds: Random seeds of the initial weights, two.
      name: Name of the layer.
    """

    floor = 1e-12  # under the variances, as in SpeechBrain

    def __init__(self, size: int, hidden_size: int, seeds: Iterable[int], name: str | None = None):
        super().__init__(name=name, dtype=precision.full_dtype())
        seeds = layer.Seeds(seeds)
        self.remember(size=size, hidden_size=hidden_size, seeds=seeds)
        self.squeeze = blocks.dense(
            hidden_size, next(seeds), activation="relu", dtype=precision.full_dtype()
        )
        self.bn = normalization.BatchNorm(dtype=precision.full_dtype())
        self.attend = blocks.dense(size, next(seeds), use_bias=False, dtype=precision.full_dtype())

    def call(
        self, x: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns [B, 2C] of frames [B, T, C]; `valid` [B, T, 1] or None."""
        x = precision.full(x)
        context = tf.expand_dims(_moments(x, _uniform(x, valid), self.floor), 1)
        context = tf.tile(context, tf.stack([1, tf.shape(x)[1], 1]))
        hidden = self.bn(self.squeeze(tf.concat([x, context], axis=2)), training=training)
        weight = _softmax_over_time(self.attend(tf.tanh(hidden)), valid)
        return _moments(x, weight, self.floor)


def _uniform(x: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
    """Returns equal weights [B, T, 1] of the valid frames, summing to 1 over time."""
    if valid is None:
        ones = tf.ones_like(precision.full(x[:, :, :1]))
        return ones / tf.cast(tf.shape(x)[1], ones.dtype)
    return valid / tf.reduce_sum(valid, axis=1, keepdims=True)


def _softmax_over_time(score: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
    if valid is not None:  # lowest finite score: exactly 0 after the softmax, and no inf * 0
        score = tf.where(valid > 0.0, score, score.dtype.min)
    return tf.nn.softmax(score, axis=1)


def _weighted_sum(x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(precision.full(x) * weight, axis=1)


def _moments(x: tf.Tensor, weight: tf.Tensor, floor: float = VARIANCE_FLOOR) -> tf.Tensor:
    x = precision.full(x)
    center = tf.reduce_sum(x * weight, axis=1, keepdims=True)
    variance = _weighted_sum(tf.square(x - center), weight)
    # A floor under the root: the gradient of sqrt at 0 is infinite.
    deviation = tf.sqrt(tf.maximum(variance, floor))
    return tf.concat([tf.squeeze(center, 1), deviation], axis=1)
