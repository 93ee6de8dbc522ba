"""Residual blocks of the encoders, each in the order of its original. Masks: see `blocks`."""

from collections.abc import Iterator

import keras
import tensorflow as tf

from tfav.layers import blocks


class SqueezeExcite(keras.layers.Layer):
    """Channel gates from the mean over all sound positions (Hu et al., CVPR 2018).

    Args:
      channels: of the input.
      reduction: the hidden layer has `channels // reduction` units.
      use_bias: whether both dense layers have one.
      seeds: numbers for the initial weights.
      name: Keras name.
    """

    def __init__(
        self,
        channels: int,
        reduction: int,
        use_bias: bool,
        seeds: Iterator[int],
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.channels = channels
        self.squeeze = blocks.dense(channels // reduction, next(seeds), use_bias, activation="relu")
        self.excite = blocks.dense(channels, next(seeds), use_bias, activation="sigmoid")

    def call(self, x: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `x` [B, T, W, C] times its gates; `valid` [B, T, 1, 1] or None."""
        gates = self.excite(self.squeeze(blocks.masked_mean(x, valid)))
        return x * tf.cast(tf.reshape(gates, [-1, 1, 1, self.channels]), x.dtype)


class SEBasicBlock(keras.layers.Layer):
    """Residual block of the thin SE-ResNet-34: conv, ReLU, BN, conv, BN, SE, sum, ReLU.

    Args:
      channels: of the input.
      filters: output channels.
      stride: of time and frequency.
      seeds: numbers for the initial weights.
      name: Keras name.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        stride: int,
        seeds: Iterator[int],
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.stride = stride
        self.conv1 = blocks.Conv(filters, (3, 3), (stride, stride), seed=next(seeds))
        self.bn1 = blocks.batch_norm()
        self.conv2 = blocks.Conv(filters, (3, 3), seed=next(seeds))
        self.bn2 = blocks.batch_norm()
        self.se = SqueezeExcite(filters, 8, use_bias=True, seeds=seeds)
        self.downsample = []
        if stride != 1 or channels != filters:
            shortcut = blocks.Conv(filters, (1, 1), (stride, stride), seed=next(seeds))
            self.downsample = [shortcut, blocks.batch_norm()]

    def call(
        self, x: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns [B, ceil(T / stride), ceil(W / stride), filters]; `valid` is the input's."""
        after = blocks.subsample(valid, self.stride)
        shortcut = x
        if self.downsample:
            conv, norm = self.downsample
            shortcut = norm(conv(x), training=training)
        x = self.bn1(tf.nn.relu(self.conv1(x, valid)), training=training)
        x = self.bn2(self.conv2(x, after), training=training)
        return tf.nn.relu(self.se(x, after) + shortcut)


class IRBlock(keras.layers.Layer):
    """Residual block of ArcFace's IR nets: BN, conv, PReLU, conv (strided), BN, optional SE, sum.

    Args:
      channels: of the input.
      filters: output channels.
      stride: of the second convolution and the shortcut.
      se: whether squeeze-excite (reduction 16, no bias) ends the residual branch.
      seeds: numbers for the initial weights.
      name: Keras name.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        stride: int,
        se: bool,
        seeds: Iterator[int],
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.stride = stride
        self.bn1 = blocks.batch_norm()
        self.conv1 = blocks.Conv(filters, (3, 3), seed=next(seeds))
        self.prelu = blocks.prelu()
        self.conv2 = blocks.Conv(filters, (3, 3), (stride, stride), seed=next(seeds))
        self.bn2 = blocks.batch_norm()
        self.se = [SqueezeExcite(filters, 16, use_bias=False, seeds=seeds)] if se else []
        self.shortcut = []
        if channels != filters:
            shortcut = blocks.Conv(filters, (1, 1), (stride, stride), seed=next(seeds))
            self.shortcut = [shortcut, blocks.batch_norm()]

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns [B, ceil(H / stride), ceil(W / stride), filters]."""
        shortcut = x[:, :: self.stride, :: self.stride]
        if self.shortcut:
            conv, norm = self.shortcut
            shortcut = norm(conv(x), training=training)
        x = self.prelu(self.conv1(self.bn1(x, training=training)))
        x = self.bn2(self.conv2(x), training=training)
        for layer in self.se:
            x = layer(x)
        return x + shortcut
