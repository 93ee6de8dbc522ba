"""Heads that classify embeddings during training and are never exported."""

import math

import keras
import tensorflow as tf

from tfav import registry
from tfav.ops import similarity


def auto_scale(num_classes: int) -> float:
    """Returns AdaCos's fixed scale, `sqrt(2) * ln(num_classes - 1)`, and at least 1."""
    return max(1.0, math.sqrt(2.0) * math.log(max(num_classes - 1, 1)))


class SharedClassifier(keras.layers.Layer):
    """One float32 weight matrix, no bias, for every modality (Wen et al., CVPR 2021).

    Normalised, logits are `scale * cos(w_j, x)`: the default here. The released code multiplies
    plain vectors: `normalized=False`. Without a bias Proposition 1 (`theory.implicit_floor`) holds.

    Args:
      num_classes: M, the number of training identities, at least 2.
      embedding_size: D.
      normalized: unit weights and embeddings.
      scale: of the cosines; "auto" is `auto_scale(num_classes)`.
      seed: of the Xavier-uniform weights.
      name: of the layer.

    Raises:
      UserError: fewer than two classes; a scale that is not "auto" or positive, or one for plain
        vectors.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        embedding_size: int,
        normalized: bool = True,
        scale: float | str = "auto",
        seed: int = 0,
        name: str = "classifier",
    ):
        super().__init__(name=name, dtype="float32")
        if num_classes < 2:
            raise registry.UserError(
                f"num_classes={num_classes}: a classifier needs at least two identities in the "
                "training split, add recordings of more people."
            )
        if scale != "auto" and (isinstance(scale, str) or not scale > 0):
            raise registry.UserError(f"scale={scale!r} must be 'auto' or a positive number.")
        if scale != "auto" and not normalized:
            raise registry.UserError(
                f"scale={scale!r} needs normalized=True: plain vectors take scale='auto' only."
            )
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.normalized = normalized
        self.scale = auto_scale(num_classes) if scale == "auto" else float(scale)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(num_classes, embedding_size),
            initializer=keras.initializers.GlorotUniform(seed=seed),
            trainable=True,
            dtype="float32",
        )

    def call(self, embedding: tf.Tensor) -> tf.Tensor:
        """Returns logits, float32 [B, M].

        Args:
          embedding: [B, D] of any float dtype, not normalised.
        """
        kernel = tf.convert_to_tensor(self.kernel)
        if self.normalized:
            return self.scale * similarity.cosine_matrix(embedding, kernel)
        return tf.matmul(tf.cast(embedding, tf.float32), kernel, transpose_b=True)
