"""Heads that classify by the features of several modalities at once."""

import math
from collections.abc import Mapping

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import class_sampling, class_shards, subcenters
from tfav.layers.modality_classifier import ModalityClassifier
from tfav.ops import precision, similarity


@keras.saving.register_keras_serializable("tfav")
class CosineClassifier(ModalityClassifier):
    """MMCosine's head: `z^m = scale * cos(W^m_j, x_m)` (Xu et al., ICASSP 2023); no bias.

    So no modality can win by the length of its features or weights. The fused logits lie within
    `n * scale` of zero. The released validation on CREMA-D reads the fused prediction from the raw
    classifier instead; we follow the text.

    Args:
      num_classes: Number C of classes, at least 2.
      sizes: Size D_m of each modality's features, in the order of the columns.
      scale: Factor of each cosine, fixed; `theory.cosine_scale_bound` says how large it must be.
      sub_centers: Number K of centres per class and modality, the nearest of which counts.
      sharded: Whether the replicas of the strategy at hand share the classes, see `class_shards`.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two classes, the scale is not positive, or there is no centre.
    """

    def __init__(
        self,
        num_classes: int,
        sizes: Mapping[str, int],
        *,
        scale: float | None,
        sub_centers: int = 1,
        sharded: bool = False,
        seed: int = 0,
        name: str = "classifier",
    ):
        subcenters.check(sub_centers)
        super().__init__(num_classes, sizes, scale, seed, name, sub_centers, sharded)
        self.remember(
            num_classes=num_classes,
            sizes=dict(sizes),
            scale=scale,
            sub_centers=sub_centers,
            sharded=sharded,
            seed=seed,
        )
        if isinstance(scale, str) or scale is None or not 0 < scale < math.inf:
            raise registry.UserError(
                f"scale={scale!r} of the cosine head must be a positive number; without one the "
                "bound of the paper is taken."
            )
        self.scale = float(scale)
        self.sub_centers = sub_centers

    def rows(self, classes: tf.Tensor) -> tf.Tensor:
        """Returns the weights of some classes, [S * K, sum of D_m] of K centres each.

        Args:
          classes: [S] int64, each once.
        """
        return class_sampling.rows(self.kernel, classes, self.sub_centers)

    def call(
        self, features: Mapping[str, tf.Tensor], rows: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns logits [B, C] float32 of each modality in `features`, or [B, S] of some classes.

        Args:
          features: Features [B, D_m] of each modality, of any float dtype; a zero row gives zero
            logits.
          rows: What `rows` returned of these classes; None: all of them.
        """
        logits = {
            m: similarity.cosine_matrix(features[m], w, self.scale)
            for m, w in self.kernels(rows).items()
            if m in features
        }
        return {m: subcenters.nearest(z, self.sub_centers) for m, z in logits.items()}


@keras.saving.register_keras_serializable("tfav")
class ConcatClassifier(ModalityClassifier):
    """The vanilla head: a dense layer on the concatenation, `z = W [x_1; ..; x_n] + b`.

    Each modality reads out `z^m = W^m x_m + b / n`, which sum to z exactly.

    Args:
      num_classes: Number C of classes, at least 2.
      sizes: Size D_m of each modality's features, in the order of the columns.
      scale: None, because plain products have no scale.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two classes, or a scale is given.
    """

    def __init__(
        self,
        num_classes: int,
        sizes: Mapping[str, int],
        *,
        scale: float | None = None,
        seed: int = 0,
        name: str = "classifier",
    ):
        super().__init__(num_classes, sizes, scale, seed, name)
        if scale is not None:
            raise registry.UserError(
                f"scale={scale!r} belongs to head='cosine': this head has none, leave it out."
            )
        self.bias = self.add_weight(
            name="bias",
            shape=(num_classes,),
            initializer="zeros",
            trainable=True,
            dtype=precision.full_dtype(),
        )

    def call(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns logits [B, C] float32 of each modality in `features`.

        Args:
          features: Features [B, D_m] of each modality, of any float dtype.
        """
        share = tf.convert_to_tensor(self.bias) / len(self.modalities)
        return {
            m: tf.matmul(precision.full(features[m]), w, transpose_b=True) + share
            for m, w in self.kernels().items()
            if m in features
        }


@keras.saving.register_keras_serializable("tfav")
class CommonClassifier(ConcatClassifier):
    """One matrix [C, D] for every modality, `z^m = W x_m + b / n`: the head of MLA.

    Args:
      num_classes: Number C of classes, at least 2.
      sizes: Size D of each modality's features, the same for all.
      scale: None, because plain products have no scale.
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two classes, the sizes differ, or a scale is given.
    """

    def __init__(
        self,
        num_classes: int,
        sizes: Mapping[str, int],
        *,
        scale: float | None = None,
        seed: int = 0,
        name: str = "classifier",
    ):
        if len(set(sizes.values())) > 1:
            raise registry.UserError(
                f"head='common' needs embeddings of one size and was given {dict(sizes)}: give all "
                "encoders one embedding_size, or use another head."
            )
        super().__init__(num_classes, sizes, scale=scale, seed=seed, name=name)

    @classmethod
    def num_columns(cls, sizes: Mapping[str, int]) -> int:
        """Returns the one size of all modalities."""
        return max(sizes.values())

    def kernels(self, rows: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Returns the one matrix [C, D] for each modality."""
        whole = class_shards.whole(self.kernel, self.num_rows) if rows is None else rows
        return dict.fromkeys(self.modalities, whole)


# A row is made as `row(num_classes, sizes, scale=, seed=, name=)`.
HEADS: dict[str, type[ModalityClassifier]] = {
    "cosine": CosineClassifier,
    "vanilla": ConcatClassifier,
    "common": CommonClassifier,
}
