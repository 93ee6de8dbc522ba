"""Heads that classify: embeddings of one modality at a time, or features of several at once."""

import math
from collections.abc import Mapping

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import layer
from tfav.ops import precision, similarity


def auto_scale(num_classes: int) -> float:
    """Returns AdaCos's fixed scale, `sqrt(2) * ln(num_classes - 1)`, and at least 1."""
    return max(1.0, math.sqrt(2.0) * math.log(max(num_classes - 1, 1)))


@keras.saving.register_keras_serializable("tfav")
class SharedClassifier(layer.Layer):
    """One float32 weight matrix, no bias, for every modality (Wen et al., CVPR 2021).

    Normalised, logits are `scale * cos(w_j, x)`: the default here. The released code multiplies
    plain vectors: `normalized=False`. Without a bias Proposition 1 (`theory.implicit_floor`) holds.

    Args:
      num_classes: Number M of training identities, at least 2.
      embedding_size: Size D of the embeddings.
      normalized: Whether class weights and embeddings are brought to unit length.
      scale: Factor of the cosines; "auto" is `auto_scale(num_classes)`.
      seed: Random seed of the Xavier-uniform weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two classes; the scale is neither "auto" nor positive; or a
        scale is given for plain vectors.
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
        self.remember(
            num_classes=num_classes,
            embedding_size=embedding_size,
            normalized=normalized,
            scale=scale,
            seed=seed,
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
            dtype=precision.full_dtype(),
        )

    def call(self, embedding: tf.Tensor) -> tf.Tensor:
        """Returns logits, float32 [B, M].

        Args:
          embedding: [B, D] of any float dtype, not normalised.
        """
        kernel = tf.convert_to_tensor(self.kernel)
        if self.normalized:
            return similarity.cosine_matrix(embedding, kernel, self.scale)
        return tf.matmul(precision.full(embedding), kernel, transpose_b=True)

    def largest_norm(self) -> tf.Tensor:
        """Returns the largest length of a class's weights as the logits see them, float32 []."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self.normalized:
            return tf.constant(self.scale, kernel.dtype)
        return tf.reduce_max(tf.norm(kernel, axis=1))


class ModalityClassifier(layer.Layer):
    """One float32 matrix W = [W^1 | .. | W^n] [C, sum of D_m]: columns of each modality in turn.

    A subclass writes `call(features) -> {modality: logits}`. The fused logits are the sum of the
    uni-modal ones, of as many modalities as are given.

    Args:
      num_classes: Number C of classes, at least 2.
      sizes: Size D_m of each modality's features, in the order of the columns.
      scale: Factor of the logits; None where the subclass has none.
      seed: Random seed of the Xavier-uniform weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two classes.
    """

    def __init__(
        self, num_classes: int, sizes: Mapping[str, int], scale: float | None, seed: int, name: str
    ):
        super().__init__(name=name, dtype=precision.full_dtype())
        if num_classes < 2:
            raise registry.UserError(
                f"num_classes={num_classes}: a classifier needs at least two classes in the "
                "training split, add rows of another label."
            )
        self.remember(num_classes=num_classes, sizes=dict(sizes), scale=scale, seed=seed)
        self.num_classes = num_classes
        self.modalities = tuple(sizes)
        self._columns = tuple(sizes.values())
        self.kernel = self.add_weight(
            name="kernel",
            shape=(num_classes, sum(self._columns)),
            initializer=keras.initializers.GlorotUniform(seed=seed),
            trainable=True,
            dtype=precision.full_dtype(),
        )

    def kernels(self) -> dict[str, tf.Tensor]:
        """Returns each modality's columns [C, D_m]."""
        parts = tf.split(tf.convert_to_tensor(self.kernel), self._columns, axis=1)
        return dict(zip(self.modalities, parts))

    def weight_norms(self) -> dict[str, tf.Tensor]:
        """Returns each modality's mean length of a class's weights, [] each."""
        return {m: tf.reduce_mean(tf.norm(w, axis=1)) for m, w in self.kernels().items()}


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
      seed: Random seed of the weights.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two classes, or the scale is not positive.
    """

    def __init__(
        self,
        num_classes: int,
        sizes: Mapping[str, int],
        *,
        scale: float | None,
        seed: int = 0,
        name: str = "classifier",
    ):
        super().__init__(num_classes, sizes, scale, seed, name)
        if isinstance(scale, str) or scale is None or not 0 < scale < math.inf:
            raise registry.UserError(
                f"scale={scale!r} of the cosine head must be a positive number; without one the "
                "bound of the paper is taken."
            )
        self.scale = float(scale)

    def call(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns logits [B, C] float32 of each modality in `features`.

        Args:
          features: Features [B, D_m] of each modality, of any float dtype; a zero row gives zero
            logits.
        """
        return {
            m: similarity.cosine_matrix(features[m], w, self.scale)
            for m, w in self.kernels().items()
            if m in features
        }


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
                f"scale={scale!r} belongs to head='cosine': the vanilla head has none, leave it "
                "out."
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


# A row is made as `row(num_classes, sizes, scale=, seed=, name=)`.
HEADS: dict[str, type[ModalityClassifier]] = {
    "cosine": CosineClassifier,
    "vanilla": ConcatClassifier,
}
