"""The end of every encoder, from features to the embedding."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from tfav.layers import blocks, layer, normalization
from tfav.layers import dropout as dropout_lib
from tfav.ops import precision


@keras.saving.register_keras_serializable("tfav")
class Tail(layer.Layer):
    """The end of every encoder: BN, ReLU, dense without bias, dropout (Wen et al., CVPR 2021).

    It computes in float32 under every policy.

    Args:
      embedding_size: Size D of the embedding.
      dropout: Share of the embedding that is dropped in training.
      seeds: Random seeds of the initial weights and of the dropout, two.
      name: Name of the layer.
    """

    def __init__(
        self, embedding_size: int, dropout: float, seeds: Iterable[int], name: str | None = None
    ):
        super().__init__(name=name, dtype=precision.full_dtype())
        seeds = layer.Seeds(seeds)
        self.remember(embedding_size=embedding_size, dropout=dropout, seeds=seeds)
        self.bn = normalization.BatchNorm(dtype=precision.full_dtype())
        self.dense = blocks.dense(
            embedding_size, next(seeds), use_bias=False, dtype=precision.full_dtype()
        )
        self.dropout = dropout_lib.SeededDropout(dropout, next(seeds), dtype=precision.full_dtype())

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns embeddings [B, D] float32 of features [B, C]."""
        x = tf.nn.relu(self.bn(x, training=training))
        return self.dropout(self.dense(x), training=training)
