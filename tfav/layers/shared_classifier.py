"""The head of one modality at a time: one classifier that several modalities share."""

import math

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import class_sampling, class_shards, layer, subcenters
from tfav.ops import precision, similarity


def auto_scale(num_classes: int) -> float:
    """Returns AdaCos's fixed scale, `sqrt(2) * ln(num_classes - 1)`, and at least 1."""
    return max(1.0, math.sqrt(2.0) * math.log(max(num_classes - 1, 1)))


@keras.saving.register_keras_serializable("tfav")
class SharedClassifier(layer.Layer):
    """One float32 weight matrix, no bias, for every modality (Wen et al., CVPR 2021).

    Normalised, logits are `scale * cos(w_j, x)`: the default here. The released code multiplies
    plain vectors: `normalized=False`. Without a bias, and with one
    centre per class, Proposition 1 (`theory.implicit_floor`) holds.

    Args:
      num_classes: Number M of training identities, at least 2.
      embedding_size: Size D of the embeddings.
      normalized: Whether class weights and embeddings are brought to unit length.
      scale: Factor of the cosines; "auto" is `auto_scale(num_classes)`.
      sub_centers: Number K of centres per class, the nearest of which counts; of cosines alone.
      sharded: Whether the replicas of the strategy at hand share the classes, see `class_shards`.
      seed: Random seed of the Xavier-uniform weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two classes; the scale is neither "auto" nor positive; there
        is no centre; or a scale or several centres are given for plain vectors.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        embedding_size: int,
        normalized: bool = True,
        scale: float | str = "auto",
        sub_centers: int = 1,
        sharded: bool = False,
        seed: int = 0,
        name: str = "classifier",
    ):
        super().__init__(name=name, dtype=precision.full_dtype())
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
        subcenters.check(sub_centers)
        if sub_centers > 1 and not normalized:
            raise registry.UserError(
                f"sub_centers={sub_centers} needs normalized=True: among plain vectors the longest "
                "centre would win; set it, or give sub_centers=1."
            )
        self.remember(
            num_classes=num_classes,
            embedding_size=embedding_size,
            normalized=normalized,
            scale=scale,
            sub_centers=sub_centers,
            sharded=sharded,
            seed=seed,
        )
        self.num_classes = num_classes
        self.embedding_size = embedding_size
        self.normalized = normalized
        self.sub_centers = sub_centers
        self.scale = auto_scale(num_classes) if scale == "auto" else float(scale)
        self.num_rows = num_classes * sub_centers
        self.sharded = sharded
        self.kernel = class_shards.add_kernel(
            self,
            (self.num_rows, embedding_size),
            keras.initializers.GlorotUniform(seed=seed),
            num_classes=num_classes,
            sharded=sharded,
        )

    def rows(self, classes: tf.Tensor) -> tf.Tensor:
        """Returns the weights of some classes, [S * K, D] of K centres each.

        Args:
          classes: [S] int64, each once.
        """
        return class_sampling.rows(self.kernel, classes, self.sub_centers)

    def call(self, embedding: tf.Tensor, rows: tf.Tensor | None = None) -> tf.Tensor:
        """Returns logits, float32 [B, M], or [B, S] of some classes.

        Args:
          embedding: [B, D] of any float dtype, not normalised.
          rows: What `rows` returned of these classes; None: all of them.
        """
        kernel = class_shards.whole(self.kernel, self.num_rows) if rows is None else rows
        if self.normalized:
            cosines = similarity.cosine_matrix(embedding, kernel, self.scale)
            return subcenters.nearest(cosines, self.sub_centers)
        return tf.matmul(precision.full(embedding), kernel, transpose_b=True)

    def largest_norm(self, rows: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the largest length of a class's weights as the logits see them, float32 [].

        Args:
          rows: What `rows` returned of the classes that count; None: all of them.
        """
        if self.normalized:
            return tf.constant(self.scale, self.compute_dtype)
        kernel = class_shards.whole(self.kernel, self.num_rows) if rows is None else rows
        return tf.reduce_max(tf.norm(kernel, axis=1))
