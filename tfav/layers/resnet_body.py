"""ResNet-18 and 34 without their pooling and classes, as torchvision has them.

`valid` is the time mask [B, T, 1, 1] of `blocks`; None means that every position counts. `seeds`
gives one random seed per set of initial weights.
"""

from collections.abc import Iterable

import keras
import tensorflow as tf

from tfav.layers import blocks, layer, normalization


@keras.saving.register_keras_serializable("tfav")
class BasicBlock(layer.Layer):
    """Residual block of ResNet-18 and 34: conv, BN, ReLU, conv, BN, sum, ReLU (CVPR 2016).

    Kernels start Kaiming-normal, the gains of the norms start from N(1, 0.02).

    Args:
      channels: Number of channels of the input.
      filters: Number of output channels.
      stride: Stride of both axes.
      seeds: Random seeds of the initial weights.
      name: Name of the layer.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        stride: int,
        seeds: Iterable[int],
        name: str | None = None,
    ):
        super().__init__(name=name)
        seeds = layer.Seeds(seeds)
        self.remember(channels=channels, filters=filters, stride=stride, seeds=seeds)
        self.stride = stride
        self.conv1 = _kaiming_conv(filters, 3, stride, seeds)
        self.bn1 = noisy_norm(seeds)
        self.conv2 = _kaiming_conv(filters, 3, 1, seeds)
        self.bn2 = noisy_norm(seeds)
        self.downsample: list[layer.Layer] = []
        if stride != 1 or channels != filters:
            self.downsample = [_kaiming_conv(filters, 1, stride, seeds), noisy_norm(seeds)]

    def call(
        self, x: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns [B, ceil(H / stride), ceil(W / stride), filters]; `valid` is the input's."""
        shortcut = x
        if self.downsample:
            conv, norm = self.downsample
            shortcut = norm(conv(x), training=training)
        after = blocks.subsample(valid, self.stride)
        x = tf.nn.relu(self.bn1(self.conv1(x, valid), training=training))
        x = self.bn2(self.conv2(x, after), training=training)
        return tf.nn.relu(x + shortcut)


@keras.saving.register_keras_serializable("tfav")
class ResNet(layer.Layer):
    """ResNet-18 or 34 without its pooling and classes: stride 32, 512 channels (CVPR 2016).

    Names and geometry are torchvision's: `conv1`, `bn1`, `layer1` to `layer4`.

    Args:
      num_blocks: Number of blocks of each of the four layers: (2, 2, 2, 2) is ResNet-18,
        (3, 4, 6, 3) is ResNet-34.
      seeds: Random seeds of the initial weights.
      name: Name of the layer.
    """

    def __init__(
        self, num_blocks: tuple[int, int, int, int], seeds: Iterable[int], name: str | None = None
    ):
        super().__init__(name=name)
        seeds = layer.Seeds(seeds)
        self.remember(num_blocks=tuple(num_blocks), seeds=seeds)
        self.conv1 = _kaiming_conv(64, 7, 2, seeds)
        self.bn1 = noisy_norm(seeds)
        self.layer1 = self._layer(64, 64, num_blocks[0], 1, seeds)
        self.layer2 = self._layer(64, 128, num_blocks[1], 2, seeds)
        self.layer3 = self._layer(128, 256, num_blocks[2], 2, seeds)
        self.layer4 = self._layer(256, 512, num_blocks[3], 2, seeds)

    @staticmethod
    def _layer(
        channels: int, filters: int, num_blocks: int, stride: int, seeds: layer.Seeds
    ) -> list[BasicBlock]:
        first = BasicBlock(channels, filters, stride, seeds)
        return [first, *(BasicBlock(filters, filters, 1, seeds) for _ in range(num_blocks - 1))]

    def call(
        self, x: tf.Tensor, valid: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns [B, ceil(H / 32), ceil(W / 32), 512].

        Args:
          x: Images [B, H, W, C], or spectrograms with time as H.
          valid: Mask [B, H, 1, 1], or None.
          training: Python bool.
        """
        x = tf.nn.relu(self.bn1(self.conv1(x, valid), training=training))
        valid = blocks.subsample(valid, 2)
        x = blocks.max_pool(x, 3, valid)
        valid = blocks.subsample(valid, 2)
        for block in (*self.layer1, *self.layer2, *self.layer3, *self.layer4):
            x = block(x, valid, training=training)
            valid = blocks.subsample(valid, block.stride)
        return x


def noisy_norm(seeds: layer.Seeds) -> normalization.BatchNorm:
    """Returns a batch norm whose gains start from N(1, 0.02), as in the authors' ResNets."""
    gains = keras.initializers.RandomNormal(1.0, 0.02, seed=next(seeds))
    return normalization.BatchNorm(gamma_initializer=gains)


def _kaiming_conv(filters: int, size: int, stride: int, seeds: layer.Seeds) -> blocks.Conv:
    strides = (stride, stride)
    return blocks.Conv(filters, (size, size), strides, seed=next(seeds), init="kaiming_normal")
