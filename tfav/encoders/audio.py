"""Audio encoders: waveform in, embedding out, the front-end inside."""

from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from tfav import typing
from tfav.encoders import base
from tfav.layers import audio, blocks, pooling, residual


class AudioEncoder(base.Encoder):
    """An encoder of waveforms that reads the first `num_samples` samples of each row, no others.

    A subclass writes `frames_to_map`, what stands between the log-mel image and the pooling, and
    `pool`. In training with `num_samples` the batch norms' statistics do see what pads the batch:
    train on crops of one length.

    Args:
      embedding_size: D.
      frontend: arguments of `layers.audio.LogMel`.
      name: Keras name.
    """

    modality = "audio"

    def __init__(self, embedding_size: int, frontend: Mapping[str, Any] | None, name: str):
        super().__init__(embedding_size, name)
        self.frontend = audio.LogMel(**(frontend or {}))

    def call(
        self,
        waveform: tf.Tensor,
        num_samples: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns embeddings [B, D] float32, not normalised.

        Args:
          waveform: [B, T] float32 in [-1, 1], 16 kHz.
          num_samples: [B] int32, the samples of each row that are sound; None means all of T.
          training: Python bool.
        """
        feature_map, valid = self._encode(waveform, num_samples, training)
        return self.pool(feature_map, valid, training)

    def feature_map(
        self,
        waveform: tf.Tensor,
        num_samples: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Returns the map before pooling, [B, time, frequency, C], zero beyond the sound."""
        feature_map, valid = self._encode(waveform, num_samples, training)
        return blocks.mask(feature_map, valid)

    def _encode(
        self, waveform: tf.Tensor, num_samples: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        log_mel, num_frames = self.frontend(waveform, num_samples)
        valid = None
        if num_frames is not None:
            valid = tf.expand_dims(audio.frame_mask(num_frames, tf.shape(log_mel)[1]), 3)
        return self.frames_to_map(log_mel, valid, training)

    def frames_to_map(
        self, log_mel: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the feature map [B, T', F', C] of [B, T, num_mels] and its mask [B, T', 1, 1]."""
        raise NotImplementedError

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of a feature map and its mask."""
        raise NotImplementedError

    def example(self) -> tf.Tensor:
        """Returns a tenth of a second of silence, [1, 1600]."""
        return tf.zeros([1, typing.SAMPLE_RATE_HZ // 10])


class Tiny(AudioEncoder):
    """Three strided convolutions over time, two dense layers: for the demo, tests and phones.

    The mel bands are the channels of the first convolution. 5 million multiplications for 3 s.

    Args:
      embedding_size: D.
      frontend: arguments of `layers.audio.LogMel`.
      dropout: share of the embedding dropped in training.
      seed: of the weights and the dropout.
      name: Keras name.
    """

    def __init__(
        self,
        embedding_size: int = 128,
        frontend: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        seed: int = 0,
        name: str = "audio",
    ):
        super().__init__(embedding_size, frontend, name)
        seeds = self.new_seeds(seed)
        self.bn = blocks.batch_norm()
        self.convs = [
            blocks.Conv(filters, (kernel, 1), (2, 1), seed=next(seeds))
            for filters, kernel in ((64, 5), (96, 3), (128, 3))
        ]
        self.bns = [blocks.batch_norm() for _ in self.convs]
        self.fc = blocks.dense(256, next(seeds), use_bias=False, dtype="float32")
        self.tail = blocks.Tail(embedding_size, dropout, seeds)
        self.create_weights()

    def frames_to_map(
        self, log_mel: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns [B, ceil(T / 8), 1, 128] and its mask."""
        x = self.bn(tf.expand_dims(log_mel, 2), training=training)
        for conv, bn in zip(self.convs, self.bns):
            x = tf.nn.relu(bn(conv(x, valid), training=training))
            valid = blocks.subsample(valid, 2)
        return x, valid

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of mean and deviation over time."""
        frames = tf.squeeze(feature_map, 2)
        valid = None if valid is None else tf.squeeze(valid, 3)
        features = self.fc(pooling.mean_and_deviation(frames, valid))
        return self.tail(features, training=training)


class ThinResNet34(AudioEncoder):
    """Thin SE-ResNet-34 with self-attentive pooling, the voice encoder of Wen et al., CVPR 2021.

    Maps are [B, time, frequency, C], the transpose of the released code's.

    Args:
      embedding_size: D.
      frontend: arguments of `layers.audio.LogMel`; the released weights want `amplitude=32768`.
      dropout: share of the embedding dropped in training.
      seed: of the weights and the dropout.
      name: Keras name.
    """

    def __init__(
        self,
        embedding_size: int = 128,
        frontend: Mapping[str, Any] | None = None,
        dropout: float = 0.5,
        seed: int = 0,
        name: str = "audio",
    ):
        super().__init__(embedding_size, frontend, name)
        seeds = self.new_seeds(seed)
        self.conv1 = blocks.Conv(16, (7, 7), (1, 2), seed=next(seeds))
        self.bn1 = blocks.batch_norm()
        self.layer1 = self._layer(16, 16, 3, 1, seeds)
        self.layer2 = self._layer(16, 32, 4, 2, seeds)
        self.layer3 = self._layer(32, 64, 6, 2, seeds)
        self.layer4 = self._layer(64, 128, 3, 1, seeds)
        self.sap = pooling.SelfAttentivePooling(128, seeds)
        self.fc = blocks.dense(512, next(seeds), dtype="float32")
        self.tail = blocks.Tail(embedding_size, dropout, seeds)
        self.create_weights()

    @staticmethod
    def _layer(
        channels: int, filters: int, num_blocks: int, stride: int, seeds: Iterator[int]
    ) -> list[residual.SEBasicBlock]:
        first = residual.SEBasicBlock(channels, filters, stride, seeds)
        rest = [residual.SEBasicBlock(filters, filters, 1, seeds) for _ in range(num_blocks - 1)]
        return [first, *rest]

    def frames_to_map(
        self, log_mel: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns [B, ceil(T / 4), 5, 128] (of 40 mel bands) and its mask."""
        x = self.conv1(tf.expand_dims(log_mel, 3), valid)
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
        frames = tf.reduce_mean(tf.cast(feature_map, tf.float32), axis=2)
        valid = None if valid is None else tf.squeeze(valid, 3)
        return self.fc(self.sap(frames, valid))


AUDIO_ENCODERS = {"tiny": Tiny, "thin_resnet34": ThinResNet34}
