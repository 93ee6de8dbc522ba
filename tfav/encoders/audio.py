"""Audio encoders: waveform in, embedding out, the front-end inside."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfav.encoders import base, ecapa, encoder, mobile, resnet, vgg
from tfav.layers import blocks, layer, normalization, pooling, residual, tail
from tfav.ops import precision


@keras.saving.register_keras_serializable("tfav", "AudioTiny")
class Tiny(base.AudioEncoder):
    """Three strided convolutions over time, two dense layers: for the demo, tests and phones.

    The mel bands are the channels of the first convolution. 5 million multiplications for 3 s. The
    map has one position every 8 frames and none for frequency.

    Args:
      embedding_size: Size D of the embedding.
      frontend: Arguments of `layers.frontend_table.make`.
      dropout: Share of the embedding that is dropped in training.
      seed: Random seed of the weights and of the dropout.
      name: Name of the layer.
    """

    map_stride = 8

    def __init__(
        self,
        embedding_size: int = 128,
        frontend: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        seed: int = 0,
        name: str = "audio",
    ):
        super().__init__(embedding_size, frontend, name)
        self.remember(embedding_size=embedding_size, frontend=frontend, dropout=dropout, seed=seed)
        seeds = self.new_seeds(seed)
        self.bn = normalization.BatchNorm()
        self.convs = [
            blocks.Conv(filters, (kernel, 1), (2, 1), seed=next(seeds))
            for filters, kernel in ((64, 5), (96, 3), (128, 3))
        ]
        self.bns = [normalization.BatchNorm() for _ in self.convs]
        self.fc = blocks.dense(256, next(seeds), use_bias=False, dtype=precision.full_dtype())
        self.tail = tail.Tail(embedding_size, dropout, seeds)
        self.create_weights()

    def frames_to_map(
        self, frames: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns [B, ceil(T / 8), 1, 128] and its mask."""
        x = self.bn(tf.expand_dims(frames, 2), training=training)
        for conv, bn in zip(self.convs, self.bns):
            x = tf.nn.relu(bn(conv(x, valid), training=training))
            valid = blocks.subsample(valid, 2)
        return x, valid

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of mean and deviation over time."""
        over_time = tf.squeeze(feature_map, 2)
        valid = None if valid is None else tf.squeeze(valid, 3)
        features = self.fc(pooling.mean_and_deviation(over_time, valid))
        return self.tail(features, training=training)


@keras.saving.register_keras_serializable("tfav")
class ThinResNet34(base.AudioEncoder):
    """Thin SE-ResNet-34 with self-attentive pooling, the voice encoder of Wen et al., CVPR 2021.

    Maps are [B, time, frequency, C], the transpose of the released code's.

    Args:
      embedding_size: Size D of the embedding.
      frontend: Arguments of `layers.frontend_table.make`; the released weights want
        `amplitude=32768`.
      dropout: Share of the embedding that is dropped in training.
      seed: Random seed of the weights and of the dropout.
      name: Name of the layer.
    """

    map_stride = 4

    def __init__(
        self,
        embedding_size: int = 128,
        frontend: Mapping[str, Any] | None = None,
        dropout: float = 0.5,
        seed: int = 0,
        name: str = "audio",
    ):
        super().__init__(embedding_size, frontend, name)
        self.remember(embedding_size=embedding_size, frontend=frontend, dropout=dropout, seed=seed)
        seeds = self.new_seeds(seed)
        self.conv1 = blocks.Conv(16, (7, 7), (1, 2), seed=next(seeds))
        self.bn1 = normalization.BatchNorm()
        self.layer1 = self._layer(16, 16, 3, 1, seeds)
        self.layer2 = self._layer(16, 32, 4, 2, seeds)
        self.layer3 = self._layer(32, 64, 6, 2, seeds)
        self.layer4 = self._layer(64, 128, 3, 1, seeds)
        self.sap = pooling.SelfAttentivePooling(128, seeds)
        self.fc = blocks.dense(512, next(seeds), dtype=precision.full_dtype())
        self.tail = tail.Tail(embedding_size, dropout, seeds)
        self.create_weights()

    @staticmethod
    def _layer(
        channels: int, filters: int, num_blocks: int, stride: int, seeds: layer.Seeds
    ) -> list[residual.SEBasicBlock]:
        first = residual.SEBasicBlock(channels, filters, stride, seeds)
        rest = [residual.SEBasicBlock(filters, filters, 1, seeds) for _ in range(num_blocks - 1)]
        return [first, *rest]

    def frames_to_map(
        self, frames: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns [B, ceil(T / 4), 5, 128] (of 40 mel bands) and its mask."""
        x = self.conv1(tf.expand_dims(frames, 3), valid)
        x = tf.nn.relu(self.bn1(x, training=training))
        for block in (*self.layer1, *self.layer2, *self.layer3, *self.layer4):
            x = block(x, valid, training=training)
            valid = blocks.subsample(valid, block.stride)
        return x, valid

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of a feature map and its mask."""
        return self.tail(self.features(feature_map, valid), training=training)

    def features(self, feature_map: tf.Tensor, valid: tf.Tensor | None = None) -> tf.Tensor:
        """Returns what stands before the tail, [B, 512]: the output of the pre-trained backbone."""
        frames = tf.reduce_mean(precision.full(feature_map), axis=2)
        valid = None if valid is None else tf.squeeze(valid, 3)
        return self.fc(self.sap(frames, valid))


AUDIO_ENCODERS: dict[str, Callable[..., encoder.Encoder]] = {
    "tiny": Tiny,
    "mobile_speakernet": mobile.SpeakerNet,
    "thin_resnet34": ThinResNet34,
    "resnet18": resnet.AudioResNet18,
    "resnet34_se_sap": functools.partial(resnet.ResNetSE34, deviation=False),
    "resnet34_se_asp": functools.partial(resnet.ResNetSE34, deviation=True),
    "vggish": vgg.VGGish,
    "ecapa_tdnn": ecapa.ECAPATDNN,
    "ecapa_tdnn_512": functools.partial(ecapa.ECAPATDNN, channels=512),
}
