"""The ResNets of MMCosine: 18 and 34 layers, of audio and of images, and the ResNetSE34V2."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfav.encoders import base
from tfav.layers import (
    blocks,
    frontend_table,
    layer,
    normalization,
    pooling,
    residual,
    resnet_body,
)
from tfav.ops import precision

FEATURE_SIZE = 512


@keras.saving.register_keras_serializable("tfav")
class AudioResNet18(base.AudioEncoder):
    """ResNet-18 of a spectrogram, averaged over sound time and frequency: MMCosine on CREMA-D.

    The stem has one channel. Maps are [B, time, frequency, C], the transpose of the authors'.

    Args:
      embedding_size: Size D of the embedding: at 512 the averages themselves, otherwise a dense
        projection of them.
      frontend: Arguments of `layers.frontend_table.make`; by default the log spectrogram of
        CREMA-D.
      seed: Random seed of the weights.
      name: Name of the layer.
    """

    map_stride = 32
    default_frontend = frontend_table.PRESETS["crema_d"]

    def __init__(
        self,
        embedding_size: int = FEATURE_SIZE,
        frontend: Mapping[str, Any] | None = None,
        seed: int = 0,
        name: str = "audio",
    ):
        super().__init__(embedding_size, frontend, name)
        self.remember(embedding_size=embedding_size, frontend=frontend, seed=seed)
        seeds = self.new_seeds(seed)
        self.resnet = resnet_body.ResNet((2, 2, 2, 2), seeds)
        self.projection = self.new_projection(FEATURE_SIZE, seeds)
        self.create_weights()

    def frames_to_map(
        self, frames: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns [B, ceil(T / 32), ceil(bands / 32), 512] and its mask."""
        feature_map = self.resnet(tf.expand_dims(frames, 3), valid, training=training)
        return feature_map, blocks.subsample(valid, self.map_stride)

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of the average over sound time and all frequencies."""
        features = blocks.masked_mean(feature_map, valid)
        for dense in self.projection:
            features = dense(features)
        return features


@keras.saving.register_keras_serializable("tfav")
class ImageResNet(base.ImageEncoder):
    """ResNet-18 or 34, averaged over the image and over frames: MMCosine.

    Pixels are scaled as torchvision's ImageNet weights want them.

    Args:
      embedding_size: Size D of the embedding: at 512 the averages themselves, otherwise a dense
        projection of them.
      image_size: Height and width of the images; 224 in the original.
      num_blocks: Number of blocks per layer: (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) ResNet-34.
      seed: Random seed of the weights.
      name: Name of the layer.
    """

    map_stride = 32
    pixel_mean = (123.675, 116.28, 103.53)
    pixel_deviation = (58.395, 57.12, 57.375)

    def __init__(
        self,
        embedding_size: int = FEATURE_SIZE,
        image_size: int = 224,
        num_blocks: tuple[int, int, int, int] = (2, 2, 2, 2),
        seed: int = 0,
        name: str = "image",
    ):
        super().__init__(embedding_size, image_size, name)
        self.remember(
            embedding_size=embedding_size,
            image_size=image_size,
            num_blocks=num_blocks,
            seed=seed,
        )
        seeds = self.new_seeds(seed)
        self.resnet = resnet_body.ResNet(num_blocks, seeds)
        self.projection = self.new_projection(FEATURE_SIZE, seeds)
        self.create_weights()

    def pixels_to_map(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns [B, H / 32, W / 32, 512], rounded up."""
        return self.resnet(pixels, training=training)

    def pool(self, feature_map: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of the average over the image."""
        features = blocks.masked_mean(feature_map, None)
        for dense in self.projection:
            features = dense(features)
        return features


@keras.saving.register_keras_serializable("tfav")
class ResNetSE34(base.AudioEncoder):
    """ResNetSE34V2 of clovaai's voxceleb_trainer, the voice encoder of MMCosine on VoxCeleb.

    Maps are [B, time, frequency, C]; the pooled features are ordered by frequency, then channel
    (theirs by channel, then frequency).

    Args:
      embedding_size: Size D of the embedding; 512 in the original.
      frontend: Arguments of `layers.frontend_table.make`; by default 40 log-mel bands of the
        pre-emphasized waveform.
      deviation: Whether attention pools means and deviations (ASP) and not means alone (SAP).
      seed: Random seed of the weights.
      name: Name of the layer.
    """

    map_stride = 8
    default_frontend = frontend_table.PRESETS["voxceleb2"]

    def __init__(
        self,
        embedding_size: int = FEATURE_SIZE,
        frontend: Mapping[str, Any] | None = None,
        deviation: bool = True,
        seed: int = 0,
        name: str = "audio",
    ):
        super().__init__(embedding_size, frontend, name)
        self.remember(
            embedding_size=embedding_size,
            frontend=frontend,
            deviation=deviation,
            seed=seed,
        )
        seeds = self.new_seeds(seed)
        self.conv1 = blocks.Conv(32, (3, 3), seed=next(seeds), init="kaiming_normal", use_bias=True)
        self.bn1 = normalization.BatchNorm()
        self.layer1 = self._layer(32, 32, 3, 1, seeds)
        self.layer2 = self._layer(32, 64, 4, 2, seeds)
        self.layer3 = self._layer(64, 128, 6, 2, seeds)
        self.layer4 = self._layer(128, 256, 3, 2, seeds)
        self.frame_size = 256 * math.ceil(self.frontend.num_bands / self.map_stride)
        self.attention = pooling.ChannelAttentivePooling(self.frame_size, 128, deviation, seeds)
        self.fc = blocks.dense(embedding_size, next(seeds), dtype=precision.full_dtype())
        self.create_weights()

    @staticmethod
    def _layer(
        channels: int, filters: int, num_blocks: int, stride: int, seeds: layer.Seeds
    ) -> list[residual.SEBasicBlock]:
        init = "kaiming_normal"
        first = residual.SEBasicBlock(channels, filters, stride, seeds, init)
        rest = (
            residual.SEBasicBlock(filters, filters, 1, seeds, init) for _ in range(num_blocks - 1)
        )
        return [first, *rest]

    def frames_to_map(
        self, frames: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns [B, ceil(T / 8), 5, 256] (of 40 mel bands) and its mask."""
        x = self.conv1(tf.expand_dims(frames, 3), valid)
        x = self.bn1(tf.nn.relu(x), training=training)
        for block in (*self.layer1, *self.layer2, *self.layer3, *self.layer4):
            x = block(x, valid, training=training)
            valid = blocks.subsample(valid, block.stride)
        return x, valid

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of attention over time, each frequency a set of channels."""
        size = tf.stack([-1, tf.shape(feature_map)[1], self.frame_size])
        valid = None if valid is None else tf.squeeze(valid, 3)
        over_time = tf.ensure_shape(tf.reshape(feature_map, size), [None, None, self.frame_size])
        return self.fc(self.attention(over_time, valid, training=training))
