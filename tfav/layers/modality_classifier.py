"""What the heads have in common that classify by the features of several modalities at once."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import class_shards, layer
from tfav.ops import precision


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
      sub_centers: Number K of rows of W per class, which stand below each other.
      sharded: Whether the replicas of the strategy at hand share the classes of W.

    Raises:
      UserError: There are fewer than two classes.
    """

    def __init__(
        self,
        num_classes: int,
        sizes: Mapping[str, int],
        scale: float | None,
        seed: int,
        name: str,
        sub_centers: int = 1,
        sharded: bool = False,
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
        self.num_rows = num_classes * sub_centers
        self.sharded = sharded
        self._columns = tuple(sizes.values())
        self.kernel = class_shards.add_kernel(
            self,
            (self.num_rows, self.num_columns(sizes)),
            keras.initializers.GlorotUniform(seed=seed),
            num_classes=num_classes,
            sharded=sharded,
        )

    @classmethod
    def num_columns(cls, sizes: Mapping[str, int]) -> int:
        """Returns the number of columns of W for modalities of these sizes."""
        return sum(sizes.values())

    def kernels(self, rows: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Returns each modality's columns [C, D_m], or [C * K, D_m] of K centres per class.

        Args:
          rows: Weights of some classes to split; None: those of all.
        """
        whole = class_shards.whole(self.kernel, self.num_rows) if rows is None else rows
        return dict(zip(self.modalities, tf.split(whole, self._columns, axis=1)))

    def weight_norms(self, rows: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Returns each modality's mean length of a class's weights, [] each, of `kernels(rows)`."""
        return {m: tf.reduce_mean(tf.norm(w, axis=1)) for m, w in self.kernels(rows).items()}
