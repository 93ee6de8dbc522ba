"""The time-delay layers of ECAPA-TDNN (Desplanques et al., Interspeech 2020), as SpeechBrain's.

Maps are [B, T, 1, C]; `valid` is the time mask [B, T, 1, 1] of `blocks`, None where every frame
counts. A kernel that looks beyond a clip's own first or last frame sees the clip mirrored there,
as in SpeechBrain, and never what pads the batch.
"""

from collections.abc import Iterable

import keras
import tensorflow as tf

from tfav.layers import blocks, layer, normalization, residual
from tfav.ops import signal

SE_SIZE = 128  # hidden units of squeeze-excite


def taps(x: tf.Tensor, kernel_size: int, dilation: int, valid: tf.Tensor | None) -> tf.Tensor:
    """Returns the frames that a kernel sees, earliest first: [B, T, 1, kernel_size * C].

    Args:
      x: Map [B, T, 1, C].
      kernel_size: Number of frames, odd.
      dilation: Distance from one of them to the next.
      valid: Mask [B, T, 1, 1].
    """
    if kernel_size == 1:
        return x
    reach = dilation * (kernel_size // 2)
    length = tf.shape(x)[1]
    place = tf.range(-reach, length + reach)
    if valid is None:
        padded = tf.gather(x, signal.reflect(place, length), axis=1)
    else:
        num_frames = tf.cast(tf.reduce_sum(valid, axis=[1, 2]), tf.int32)
        index = signal.reflect(tf.expand_dims(place, 0), tf.maximum(num_frames, 1))
        padded = tf.gather(x, index, axis=1, batch_dims=1)
    size = tf.stack([-1, length, 1, x.shape[3]])
    parts = [tf.slice(padded, [0, j * dilation, 0, 0], size) for j in range(kernel_size)]
    return tf.ensure_shape(tf.concat(parts, axis=3), [None, None, 1, kernel_size * x.shape[3]])


@keras.saving.register_keras_serializable("tfav")
class TDNN(layer.Layer):
    """Dilated convolution over time with bias, ReLU, then batch norm.

    Args:
      filters: Number of output channels.
      kernel_size: Number of frames of the kernel, odd.
      dilation: Distance from one of them to the next.
      seed: Random seed of the initial weights.
      name: Name of the layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 1,
        dilation: int = 1,
        *,
        seed: int,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.remember(filters=filters, kernel_size=kernel_size, dilation=dilation, seed=seed)
        self.kernel_size, self.dilation = kernel_size, dilation
        self.dense = blocks.dense(filters, seed, activation="relu")
        self.bn = normalization.BatchNorm()

    def call(
        self, x: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns [B, T, 1, filters] of [B, T, 1, C]."""
        x = taps(x, self.kernel_size, self.dilation, valid)
        return self.bn(self.dense(x), training=training)


@keras.saving.register_keras_serializable("tfav")
class SERes2Block(layer.Layer):
    """TDNN, Res2Net of dilated TDNNs, TDNN, squeeze-excite, and the sum with the input.

    The channels are cut into `scale` parts. The first stays, and each other is convolved after
    what the one before became has been added (Gao et al., TPAMI 2021).

    Args:
      channels: Number of channels, in and out.
      dilation: Of the convolutions of three frames.
      seeds: Random seeds of the initial weights.
      scale: Number of parts.
      name: Name of the layer.
    """

    def __init__(
        self,
        channels: int,
        dilation: int,
        seeds: Iterable[int],
        scale: int = 8,
        name: str | None = None,
    ):
        super().__init__(name=name)
        seeds = layer.Seeds(seeds)
        self.remember(channels=channels, dilation=dilation, seeds=seeds, scale=scale)
        self.scale = scale
        self.tdnn1 = TDNN(channels, seed=next(seeds))
        self.parts = [
            TDNN(channels // scale, 3, dilation, seed=next(seeds)) for _ in range(1, scale)
        ]
        self.tdnn2 = TDNN(channels, seed=next(seeds))
        self.se = residual.SqueezeExcite(channels, channels // SE_SIZE, use_bias=True, seeds=seeds)

    def call(
        self, x: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns [B, T, 1, channels]."""
        first, *rest = tf.split(self.tdnn1(x, valid, training=training), self.scale, axis=3)
        found = [first]
        for number, (part, tdnn) in enumerate(zip(rest, self.parts)):
            part = part + found[-1] if number else part
            found.append(tdnn(part, valid, training=training))
        y = self.tdnn2(tf.concat(found, axis=3), valid, training=training)
        return tf.cast(x, y.dtype) + self.se(y, valid)
