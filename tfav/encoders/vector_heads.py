"""Small encoders of vectors and sequences that another network has computed, and their table."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfav import registry
from tfav.encoders import array, encoder
from tfav.layers import blocks, dropout, normalization, pooling
from tfav.ops import precision


class _Head(array.ArrayEncoder):
    """An encoder without a layer before the pooling over the steps."""

    def steps_to_map(self, x: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the steps as they are, [B, T, 1, D]."""
        return x


@keras.saving.register_keras_serializable("tfav", "ArrayLinear")
class Linear(_Head):
    """`W x + b` of a vector, or of the mean of a sequence's steps.

    Args:
      embedding_size: Size of the embedding.
      size: Numbers of a vector, or of a step of a sequence.
      sequence: Whether items are sequences.
      kind: Kind of the modality, a row of `data.kinds.KINDS` or a dotted path.
      dropout: Share of the input that is dropped in training.
      seed: Random seed of the weights and of the dropout.
      name: Name of the layer.
    """

    def __init__(
        self,
        embedding_size: int = 128,
        size: int = 16,
        sequence: bool = False,
        kind: str = "array",
        dropout: float = 0.0,
        seed: int = 0,
        name: str = "array",
    ):
        super().__init__(embedding_size, size, sequence, kind, name)
        self.remember(
            embedding_size=embedding_size,
            size=size,
            sequence=sequence,
            kind=kind,
            dropout=dropout,
            seed=seed,
        )
        seeds = self.new_seeds(seed)
        self.dense = blocks.dense(embedding_size, next(seeds), dtype=precision.full_dtype())
        self.dropout = _dropout(dropout, next(seeds))
        self.create_weights()

    def project(self, features: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding of [B, D]."""
        return self.dense(self.dropout(features, training=training))


@keras.saving.register_keras_serializable("tfav", "ArrayMLP")
class MLP(_Head):
    """Hidden layers (dense, norm, ReLU, dropout) and a dense one, of a vector or of a mean.

    Args:
      embedding_size: Size of the embedding.
      size: Numbers of a vector, or of a step of a sequence, whose steps are averaged first.
      sequence: Whether items are sequences.
      kind: Kind of the modality, a row of `data.kinds.KINDS` or a dotted path.
      depth: Number of hidden layers; 0 leaves `linear`.
      width: Size of the hidden layers.
      norm: Norm of the hidden layers, a row of `NORMS` or a dotted path.
      dropout: Share of each hidden layer's output that is dropped in training.
      seed: Random seed of the weights and of the dropout.
      name: Name of the layer.

    Raises:
      UserError: An unknown norm, or a depth or width that makes no layer.
    """

    def __init__(
        self,
        embedding_size: int = 128,
        size: int = 16,
        sequence: bool = False,
        kind: str = "array",
        depth: int = 1,
        width: int = 256,
        norm: str = "batch",
        dropout: float = 0.0,
        seed: int = 0,
        name: str = "array",
    ):
        super().__init__(embedding_size, size, sequence, kind, name)
        self.remember(
            embedding_size=embedding_size,
            size=size,
            sequence=sequence,
            kind=kind,
            depth=depth,
            width=width,
            norm=norm,
            dropout=dropout,
            seed=seed,
        )
        for field, value, least in (("depth", depth, 0), ("width", width, 1)):
            if not isinstance(value, int) or value < least:
                raise registry.UserError(
                    f"{field}={value} of the encoder mlp: give a whole number from {least} on."
                )
        make = registry.lookup(NORMS, norm, "norm of the encoder mlp", registry.function())
        seeds = self.new_seeds(seed)
        full = precision.full_dtype()
        self.hidden = [
            blocks.dense(width, next(seeds), use_bias=norm != "batch", dtype=full)
            for _ in range(depth)
        ]
        self.norms = [make() for _ in range(depth)]
        self.dropouts = [_dropout(dropout, next(seeds)) for _ in range(depth)]
        self.dense = blocks.dense(embedding_size, next(seeds), dtype=full)
        self.create_weights()

    def project(self, features: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding of [B, D]."""
        for dense, norm, drop in zip(self.hidden, self.norms, self.dropouts):
            features = dense(features)
            if isinstance(norm, normalization.BatchNorm):
                features = norm(features, training=training)
            elif norm is not None:
                features = norm(features)
            features = drop(tf.nn.relu(features), training=training)
        return self.dense(features)


@keras.saving.register_keras_serializable("tfav", "ArrayAttentivePooling")
class AttentivePooling(_Head):
    """`W p + b` of the self-attentive pooling `p` over the steps (`pooling.SelfAttentivePooling`).

    Args:
      embedding_size: Size of the embedding.
      size: Numbers of a step of a sequence.
      sequence: Whether items are sequences, as they must be.
      kind: Kind of the modality, a row of `data.kinds.KINDS` or a dotted path.
      dropout: Share of the pooled step that is dropped in training.
      seed: Random seed of the weights and of the dropout.
      name: Name of the layer.

    Raises:
      UserError: Items are vectors, which have no steps to weigh.
    """

    def __init__(
        self,
        embedding_size: int = 128,
        size: int = 16,
        sequence: bool = True,
        kind: str = "array",
        dropout: float = 0.0,
        seed: int = 0,
        name: str = "array",
    ):
        super().__init__(embedding_size, size, sequence, kind, name)
        self.remember(
            embedding_size=embedding_size,
            size=size,
            sequence=sequence,
            kind=kind,
            dropout=dropout,
            seed=seed,
        )
        if not sequence:
            raise registry.UserError(
                "sequence=False of the encoder attentive_pooling: a vector has no steps to weigh; "
                "take linear or mlp, or give sequences."
            )
        seeds = self.new_seeds(seed)
        self.attention = pooling.SelfAttentivePooling(size, seeds)
        self.dense = blocks.dense(embedding_size, next(seeds), dtype=precision.full_dtype())
        self.dropout = _dropout(dropout, next(seeds))
        self.create_weights()

    def pool(self, steps: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
        """Returns the weighted mean [B, D] of the steps that count."""
        return self.attention(steps, valid)

    def project(self, features: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding of [B, D]."""
        return self.dense(self.dropout(features, training=training))


def _dropout(rate: float, seed: int) -> dropout.SeededDropout:
    return dropout.SeededDropout(rate, seed, dtype=precision.full_dtype())


NORMS: dict[str, Callable[[], keras.layers.Layer | None]] = {
    "none": lambda: None,
    "batch": lambda: normalization.BatchNorm(dtype=precision.full_dtype()),
    "layer": lambda: keras.layers.LayerNormalization(epsilon=1e-5, dtype=precision.full_dtype()),
}

ARRAY_ENCODERS: dict[str, Callable[..., encoder.Encoder]] = {
    "tiny": array.Tiny,
    "linear": Linear,
    "mlp": MLP,
    "attentive_pooling": AttentivePooling,
}
