"""Encoders of published phone-sized nets: MobileFaceNet, and SpeakerNet at a quarter of its width.

Both are depthwise-separable and rectify by ReLU6: TFLite's int8 kernels have no fast PReLU (which
MobileFaceNet has in the paper) or hard-swish, and a bounded range loses least in int8.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfav.encoders import base
from tfav.layers import blocks, layer, normalization, pooling
from tfav.ops import precision

# Expansion, output channels, blocks, stride of the first of them: table 1 of Chen et al.
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


@keras.saving.register_keras_serializable("tfav")
class Bottleneck(layer.Layer):
    """Inverted residual of MobileNetV2 (CVPR 2018): 1 x 1, depthwise 3 x 3, linear 1 x 1, sum.

    The sum is left out where the stride or the channels change.

    Args:
      channels: Number of channels of the input.
      filters: Number of output channels.
      expansion: Factor of `channels` within the depthwise convolution.
      stride: Stride of the depthwise convolution.
      seeds: Random seeds of the initial weights.
      name: Name of the layer.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        expansion: int,
        stride: int,
        seeds: Iterable[int],
        name: str | None = None,
    ):
        super().__init__(name=name)
        seeds = layer.Seeds(seeds)
        self.remember(
            channels=channels, filters=filters, expansion=expansion, stride=stride, seeds=seeds
        )
        self.adds = stride == 1 and channels == filters
        self.expand = blocks.Conv(expansion * channels, (1, 1), seed=next(seeds))
        self.bn1 = normalization.BatchNorm()
        self.depthwise = blocks.DepthwiseConv((3, 3), stride, seed=next(seeds))
        self.bn2 = normalization.BatchNorm()
        self.project = blocks.Conv(filters, (1, 1), seed=next(seeds))
        self.bn3 = normalization.BatchNorm()

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns [B, ceil(H / stride), ceil(W / stride), filters]."""
        shortcut = x
        x = tf.nn.relu6(self.bn1(self.expand(x), training=training))
        x = tf.nn.relu6(self.bn2(self.depthwise(x), training=training))
        x = self.bn3(self.project(x), training=training)
        return x + shortcut if self.adds else x


@keras.saving.register_keras_serializable("tfav")
class MobileFaceNet(base.ImageEncoder):
    """MobileFaceNet (Chen et al., CCBR 2018), with ReLU6 in place of PReLU: a million parameters.

    The last map, 7 x 7 of 112 x 112 pixels, is weighed position by position, each channel by
    weights of its own: where things are is what a face is told by.

    Args:
      embedding_size: Size D of the embedding; 128 in the original.
      image_size: Height and width of the images; 112 in the original.
      seed: Random seed of the weights.
      name: Name of the layer.
    """

    map_stride = 16

    def __init__(
        self,
        embedding_size: int = 128,
        image_size: int = 112,
        seed: int = 0,
        name: str = "image",
    ):
        super().__init__(embedding_size, image_size, name)
        self.remember(embedding_size=embedding_size, image_size=image_size, seed=seed)
        seeds = self.new_seeds(seed)
        self.conv1 = blocks.Conv(64, (3, 3), (2, 2), seed=next(seeds))
        self.bn1 = normalization.BatchNorm()
        self.depthwise = blocks.DepthwiseConv((3, 3), seed=next(seeds))
        self.bn2 = normalization.BatchNorm()
        self.body = []
        channels = 64
        for expansion, filters, num_blocks, stride in BOTTLENECKS:
            for i in range(num_blocks):
                s = stride if i == 0 else 1
                self.body.append(Bottleneck(channels, filters, expansion, s, seeds))
                channels = filters
        self.conv2 = blocks.Conv(512, (1, 1), seed=next(seeds))
        self.bn3 = normalization.BatchNorm()
        side = -(-image_size // self.map_stride)
        self.whole = blocks.DepthwiseConv((side, side), seed=next(seeds), padded=False)
        self.bn4 = normalization.BatchNorm()
        self.fc = blocks.dense(
            embedding_size, next(seeds), use_bias=False, dtype=precision.full_dtype()
        )
        self.bn5 = normalization.BatchNorm(dtype=precision.full_dtype())
        self.create_weights()

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns [B, H / 16, W / 16, 512], rounded up."""
        x = tf.nn.relu6(self.bn1(self.conv1(pixels), training=training))
        x = tf.nn.relu6(self.bn2(self.depthwise(x), training=training))
        for block in self.body:
            x = block(x, training=training)
        return tf.nn.relu6(self.bn3(self.conv2(x), training=training))

    def pool(self, feature_map: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of the weighted sums over positions."""
        x = self.bn4(self.whole(feature_map), training=training)
        return self.bn5(self.fc(blocks.flatten(x)), training=training)


@keras.saving.register_keras_serializable("tfav")
class SeparableBlock(layer.Layer):
    """Block of QuartzNet (ICASSP 2020): separable convolutions over time, and a 1 x 1 beside them.

    Each is depthwise, 1 x 1, BN, ReLU6; the input, by a 1 x 1 and BN, is added before the last
    ReLU6.

    Args:
      filters: Number of output channels.
      kernel: Size of the depthwise kernels over time, odd.
      repeats: Number of separable convolutions.
      seeds: Random seeds of the initial weights.
      name: Name of the layer.
    """

    def __init__(
        self,
        filters: int,
        kernel: int,
        repeats: int,
        seeds: Iterable[int],
        name: str | None = None,
    ):
        super().__init__(name=name)
        seeds = layer.Seeds(seeds)
        self.remember(filters=filters, kernel=kernel, repeats=repeats, seeds=seeds)
        self.depthwise = []
        self.pointwise = []
        self.bns = []
        for _ in range(repeats):
            self.depthwise.append(blocks.DepthwiseConv((kernel, 1), seed=next(seeds)))
            self.pointwise.append(blocks.Conv(filters, (1, 1), seed=next(seeds)))
            self.bns.append(normalization.BatchNorm())
        self.shortcut = blocks.Conv(filters, (1, 1), seed=next(seeds))
        self.bn = normalization.BatchNorm()

    def call(
        self, x: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns [B, T, 1, filters] of [B, T, 1, C]; `valid` [B, T, 1, 1] or None."""
        shortcut = self.bn(self.shortcut(x), training=training)
        for i, (depthwise, pointwise) in enumerate(zip(self.depthwise, self.pointwise)):
            if i:
                x = tf.nn.relu6(x)
            x = self.bns[i](pointwise(depthwise(x, valid)), training=training)
        return tf.nn.relu6(x + shortcut)


@keras.saving.register_keras_serializable("tfav")
class SpeakerNet(base.AudioEncoder):
    """SpeakerNet (Koluguri et al., 2020) with 128 channels for 512: a quarter million parameters.

    The mel bands are the channels of the first convolution, which has QuartzNet's stride of 2 here
    (theirs: 1). Three blocks of two separable convolutions, then mean and deviation over time of
    256 channels (theirs: 1500), and a linear layer. 30 million multiplications for 3 s.

    Args:
      embedding_size: Size D of the embedding.
      frontend: Arguments of `layers.frontend_table.make`.
      seed: Random seed of the weights.
      name: Name of the layer.
    """

    map_stride = 2

    def __init__(
        self,
        embedding_size: int = 128,
        frontend: Mapping[str, Any] | None = None,
        seed: int = 0,
        name: str = "audio",
    ):
        super().__init__(embedding_size, frontend, name)
        self.remember(embedding_size=embedding_size, frontend=frontend, seed=seed)
        seeds = self.new_seeds(seed)
        self.depthwise = blocks.DepthwiseConv((3, 1), 2, seed=next(seeds))
        self.pointwise = blocks.Conv(128, (1, 1), seed=next(seeds))
        self.bn1 = normalization.BatchNorm()
        self.body = [SeparableBlock(128, kernel, 2, seeds) for kernel in (7, 11, 15)]
        self.conv = blocks.Conv(256, (1, 1), seed=next(seeds))
        self.bn2 = normalization.BatchNorm()
        self.bn3 = normalization.BatchNorm(dtype=precision.full_dtype())
        self.fc = blocks.dense(
            embedding_size, next(seeds), use_bias=False, dtype=precision.full_dtype()
        )
        self.create_weights()

    def frames_to_map(
        self, frames: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns [B, ceil(T / 2), 1, 256] and its mask."""
        x = self.pointwise(self.depthwise(tf.expand_dims(frames, 2), valid))
        x = tf.nn.relu6(self.bn1(x, training=training))
        valid = blocks.subsample(valid, 2)
        for block in self.body:
            x = block(x, valid, training=training)
        return tf.nn.relu6(self.bn2(self.conv(x), training=training)), valid

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of mean and deviation over time."""
        over_time = tf.squeeze(feature_map, 2)
        valid = None if valid is None else tf.squeeze(valid, 3)
        features = pooling.mean_and_deviation(over_time, valid)
        return self.fc(self.bn3(features, training=training))
