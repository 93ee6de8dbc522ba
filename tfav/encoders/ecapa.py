"""ECAPA-TDNN, the encoder of speakers that most of the field takes its voices' vectors from."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfav import registry
from tfav.encoders import base
from tfav.layers import blocks, normalization, pooling, tdnn
from tfav.ops import precision

FEATURE_SIZE = 192
ATTENTION_SIZE = 128
_SCALE = 8  # parts of the Res2Net


@keras.saving.register_keras_serializable("tfav")
class ECAPATDNN(base.AudioEncoder):
    """ECAPA-TDNN (Desplanques et al., Interspeech 2020) as SpeechBrain has it.

    A TDNN of five frames, three SE-Res2Net blocks of dilation 2, 3 and 4, a dense layer over all
    three (multi-layer feature aggregation), attentive statistics pooling that knows the clip's own
    mean and deviation, batch norm, and one dense layer. Means over time are over a clip's own
    frames.

    Args:
      embedding_size: Size D of the embedding: at 192 the network's own, otherwise a dense
        projection of it.
      frontend: Arguments of `layers.frontend_table.make`; by default SpeechBrain's.
      channels: Number C of channels, a multiple of 128: 512 or 1024 in the paper.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: C is no multiple of 128.
    """

    map_stride = 1
    default_frontend = {"kind": "speechbrain_fbank"}

    def __init__(
        self,
        embedding_size: int = FEATURE_SIZE,
        frontend: Mapping[str, Any] | None = None,
        channels: int = 1024,
        seed: int = 0,
        name: str = "audio",
    ):
        super().__init__(embedding_size, frontend, name)
        if channels < tdnn.SE_SIZE or channels % tdnn.SE_SIZE:
            raise registry.UserError(
                f"ecapa_tdnn cannot have channels={channels}: give a multiple of {tdnn.SE_SIZE}, "
                "such as 512 or 1024."
            )
        self.remember(
            embedding_size=embedding_size, frontend=frontend, channels=channels, seed=seed
        )
        self.channels = channels
        seeds = self.new_seeds(seed)
        self.first = tdnn.TDNN(channels, 5, seed=next(seeds))
        self.blocks = [tdnn.SERes2Block(channels, d, seeds, _SCALE) for d in (2, 3, 4)]
        self.mfa = tdnn.TDNN(3 * channels, seed=next(seeds))
        self.asp = pooling.ContextAttentivePooling(3 * channels, ATTENTION_SIZE, seeds)
        self.bn = normalization.BatchNorm(dtype=precision.full_dtype())
        self.fc = blocks.dense(FEATURE_SIZE, next(seeds), dtype=precision.full_dtype())
        self.projection = self.new_projection(FEATURE_SIZE, seeds)
        self.create_weights()

    def frames_to_map(
        self, frames: tf.Tensor, valid: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns [B, T, 1, 3 C] and its mask."""
        x = self.first(tf.expand_dims(frames, 2), valid, training=training)
        found = []
        for block in self.blocks:
            x = block(x, valid, training=training)
            found.append(x)
        return self.mfa(tf.concat(found, axis=3), valid, training=training), valid

    def pool(self, feature_map: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the embedding [B, D] of attention over time."""
        valid = None if valid is None else tf.squeeze(valid, 3)
        features = self.asp(tf.squeeze(feature_map, 2), valid, training=training)
        features = self.fc(self.bn(features, training=training))
        for dense in self.projection:
            features = dense(features)
        return features
