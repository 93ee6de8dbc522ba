"""Encoders of numbers that come as they are: vectors, or sequences of any length."""

import keras
import tensorflow as tf

from tfav import items
from tfav.encoders import encoder
from tfav.layers import blocks, pooling, tail
from tfav.ops import precision


class ArrayEncoder(encoder.Encoder):
    """An encoder of vectors [B, D], or of sequences [B, T, D] of which it reads the counted steps.

    A subclass writes `steps_to_map`, what stands before the mean over the steps, and `project`;
    one that weighs the steps also writes `pool`.

    Args:
      embedding_size: Size of the embedding.
      size: Numbers D of a vector, or of a step of a sequence.
      sequence: Whether items are sequences.
      kind: Kind of the modality, a row of `data.kinds.KINDS` or a dotted path.
      name: Name of the layer.
    """

    modality = "array"

    def __init__(self, embedding_size: int, size: int, sequence: bool, kind: str, name: str):
        super().__init__(embedding_size, name)
        self.size, self.sequence, self.kind = size, sequence, kind

    @property
    def item_spec(self) -> items.ItemSpec:
        """Returns that of vectors or sequences of `size` numbers."""
        return items.array(self.size, f"{self.name}_steps" if self.sequence else "", self.kind)

    def call(
        self, x: tf.Tensor, num_steps: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns embeddings [B, D'] float32, not normalised.

        Args:
          x: Vectors [B, D] or sequences [B, T, D], float32.
          num_steps: Number of steps of each sequence, [B] int32; None means all of T.
          training: Python bool.
        """
        feature_map, valid = self._encode(x, num_steps, training)
        with tf.name_scope(encoder.POOLING):
            if not self.sequence:  # one step: no mean to take
                return self.project(tf.squeeze(feature_map, [1, 2]), training)
            valid = None if valid is None else tf.squeeze(valid, 3)
            return self.project(self.pool(tf.squeeze(feature_map, 2), valid), training)

    def feature_map(
        self, x: tf.Tensor, num_steps: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns the map before the mean, [B, T, 1, C], zero beyond a sequence's end."""
        return blocks.mask(*self._encode(x, num_steps, training))

    def feature_positions(
        self, x: tf.Tensor, num_samples: tf.Tensor | None = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `feature_map` as [B, T, C], and [B, T], 1 where a step counts.

        Args:
          x: As `call` takes it.
          num_samples: Number of steps of each sequence, [B] int32; None means all of T.
          training: Python bool.
        """
        feature_map, valid = self._encode(x, num_samples, training)
        features = tf.squeeze(blocks.mask(feature_map, valid), 2)
        whole = tf.ones(tf.shape(features)[:2], self.variable_dtype)
        return features, whole if valid is None else whole * tf.squeeze(valid, [2, 3])

    def _encode(
        self, x: tf.Tensor, num_steps: tf.Tensor | None, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        x = tf.cast(tf.convert_to_tensor(x), self.variable_dtype)
        if not self.sequence:
            x = tf.expand_dims(x, 1)
        x, valid = tf.expand_dims(x, 2), None
        if num_steps is not None:
            steps = tf.range(tf.shape(x)[1])
            counted = steps < tf.expand_dims(tf.cast(num_steps, tf.int32), 1)
            valid = tf.cast(counted, x.dtype)[:, :, tf.newaxis, tf.newaxis]
            x = tf.where(valid > 0, x, 0.0)  # what stands there may be anything, NaN too
        with tf.name_scope(encoder.NETWORK):
            return self.steps_to_map(x, valid, training), valid

    def steps_to_map(self, x: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns the feature map [B, T, 1, C] of [B, T, 1, D] and its mask [B, T, 1, 1]."""
        raise NotImplementedError

    def pool(self, steps: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
        """Returns one vector [B, C] of the map's steps [B, T, C]; `valid` [B, T, 1] or None."""
        return pooling.mean(steps, valid)

    def project(self, features: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding of what `pool` returns, [B, C]."""
        raise NotImplementedError

    def example(self) -> tf.Tensor:
        """Returns one vector, or a sequence of four steps, of zeros."""
        return tf.zeros([1, 4, self.size] if self.sequence else [1, self.size])


@keras.saving.register_keras_serializable("tfav", "ArrayTiny")
class Tiny(ArrayEncoder):
    """Two convolutions over the steps and two dense layers; of a vector, four dense layers.

    Args:
      embedding_size: Size of the embedding.
      size: Numbers of a vector, or of a step of a sequence.
      sequence: Whether items are sequences.
      kind: Kind of the modality, a row of `data.kinds.KINDS` or a dotted path.
      dropout: Share of the embedding that is dropped in training.
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
        kernel = (3 if sequence else 1, 1)
        self.convs = [blocks.Conv(128, kernel, seed=next(seeds), use_bias=True) for _ in range(2)]
        self.fc = blocks.dense(256, next(seeds), use_bias=False, dtype=precision.full_dtype())
        self.tail = tail.Tail(embedding_size, dropout, seeds)
        self.create_weights()

    def steps_to_map(self, x: tf.Tensor, valid: tf.Tensor | None, training: bool) -> tf.Tensor:
        """Returns [B, T, 1, 128]."""
        for conv in self.convs:
            x = tf.nn.relu(conv(x, valid))
        return x

    def project(self, features: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the embedding of the mean [B, 128]."""
        return self.tail(self.fc(features), training=training)
