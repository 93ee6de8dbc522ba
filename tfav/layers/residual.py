"""Residual blocks of the encoders, each in the order of its original.

`valid` is the time mask [B, T, 1, 1] of `blocks`; None means that every position counts. `seeds`
gives one random seed per set of initial weights.
"""

from collections.abc import Iterable

import keras
import tensorflow as tf

from tfav.layers import blocks, layer, normalization, prelu


@keras.saving.register_keras_serializable("tfav")
class SqueezeExcite(layer.Layer):
    """Channel gates from the mean over all valid positions (Hu et al., CVPR 2018).

    Args:
      channels: Number of channels of the input.
      reduction: Divisor of the hidden layer, which has `channels // reduction` units.
      use_bias: Whether both dense layers have a bias.
      seeds: Random seeds of the initial weights.
      name: Name of the layer.
    """

    def __init__(
        self,
        channels: int,
        reduction: int,
        use_bias: bool,
        seeds: Iterable[int],
        name: str | None = None,
    ):
        super().__init__(name=name)
        seeds = layer.Seeds(seeds)
        self.remember(channels=channels, reduction=reduction, use_bias=use_bias, seeds=seeds)
        self.channels = channels
        self.squeeze = blocks.dense(channels // reduction, next(seeds), use_bias, activation="relu")
        self.excite = blocks.dense(channels, next(seeds), use_bias, activation="sigmoid")

    def call(self, x: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `x` [B, T, W, C] times its gates."""
        gates = self.excite(self.squeeze(blocks.masked_mean(x, valid)))
        return x * tf.cast(tf.reshape(gates, [-1, 1, 1, self.channels]), x.dtype)


@keras.saving.register_keras_serializable("tfav")
class SEBasicBlock(layer.Layer):
    """Residual block of the SE-ResNet-34 of speech: conv, ReLU, BN, conv, BN, SE, sum, ReLU.

    Args:
      channels: Number of channels of the input.
      filters: Number of output channels.
      stride: Stride of time and frequency.
      seeds: Random seeds of the initial weights.
      init: Initializer of the convolutions, a row of `blocks.INITIALIZERS` or a dotted path.
      name: Name of the layer.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        stride: int,
        seeds: Iterable[int],
        init: str = "xavier_uniform",
        name: str | None = None,
    ):
        super().__init__(name=name)
        seeds = layer.Seeds(seeds)
        self.remember(channels=channels, filters=filters, stride=stride, seeds=seeds, init=init)
        self.stride = stride
        strides = (stride, stride)
        self.conv1 = blocks.Conv(filters, (3, 3), strides, seed=next(seeds), init=init)
        self.bn1 = normalization.BatchNorm()
        self.conv2 = blocks.Conv(filters, (3, 3), seed=next(seeds), init=init)
        self.bn2 = normalization.BatchNorm()
        self.se = SqueezeExcite(filters, 8, use_bias=True, seeds=seeds)
        self.downsample: list[layer.Layer] = []
        if stride != 1 or channels != filters:
            shortcut = blocks.Conv(filters, (1, 1), strides, seed=next(seeds), init=init)
            self.downsample = [shortcut, normalization.BatchNorm()]

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


@keras.saving.register_keras_serializable("tfav")
class IRBlock(layer.Layer):
    """Residual block of ArcFace's IR nets: BN, conv, PReLU, conv (strided), BN, optional SE, sum.

    Args:
      channels: Number of channels of the input.
      filters: Number of output channels.
      stride: Stride of the second convolution and of the shortcut.
      se: Whether squeeze-excite (reduction 16, no bias) ends the residual branch.
      seeds: Random seeds of the initial weights.
      name: Name of the layer.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        stride: int,
        se: bool,
        seeds: Iterable[int],
        name: str | None = None,
    ):
        super().__init__(name=name)
        seeds = layer.Seeds(seeds)
        self.remember(channels=channels, filters=filters, stride=stride, se=se, seeds=seeds)
        self.stride = stride
        self.bn1 = normalization.BatchNorm()
        self.conv1 = blocks.Conv(filters, (3, 3), seed=next(seeds))
        self.prelu = prelu.PReLU()
        self.conv2 = blocks.Conv(filters, (3, 3), (stride, stride), seed=next(seeds))
        self.bn2 = normalization.BatchNorm()
        self.se = [SqueezeExcite(filters, 16, use_bias=False, seeds=seeds)] if se else []
        self.shortcut: list[layer.Layer] = []
        if channels != filters:
            shortcut = blocks.Conv(filters, (1, 1), (stride, stride), seed=next(seeds))
            self.shortcut = [shortcut, normalization.BatchNorm()]

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns [B, ceil(H / stride), ceil(W / stride), filters]."""
        shortcut = x[:, :: self.stride, :: self.stride]
        if self.shortcut:
            conv, norm = self.shortcut
            shortcut = norm(conv(x), training=training)
        x = self.conv1(self.bn1(x, training=training))
        x = self.prelu(x, training=training)
        x = self.bn2(self.conv2(x), training=training)
        for gate in self.se:
            x = gate(x)
        return x + shortcut
