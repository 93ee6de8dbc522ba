"""The losses of matched and mismatched pairs as Keras losses: no label is read.

Where the mismatches are drawn (`negatives="derangement"`), the draw follows `seed` alone, because a
Keras loss knows no step. Shuffle the rows anew for each epoch, as `fit` does, and each row meets
others.
"""

from typing import Any

import keras
import tensorflow as tf

from tfav import registry
from tfav.keras import loss
from tfav.losses import pairs


class Cluster(loss.Loss):
    """A loss of the cluster centres of audio and image, which pairs the rows of the batch itself.

    Audio and image have the same number of clusters. A subclass sets `function`.

    Args:
      margin: Margin of the loss.
      negatives: Mismatches of a row, one of `pairs.NEGATIVES`.
      seed: Random seed of the mismatches.
      **options: `reduction`, `name` and `dtype`.
    """

    def __init__(self, margin: float, negatives: str, seed: int, **options: Any):
        super().__init__({"margin": margin, "negatives": negatives, "seed": seed}, **options)

    def rows(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each row, [B], of centres [B, K, 2 d]."""
        audio, image = self.halves(y_pred, "sets of centres")
        seed = tf.constant([0, self.arguments["seed"]])
        return self.function(audio, image, **{**self.arguments, "seed": seed})


@keras.saving.register_keras_serializable("tfav")
class ClusterMaxMargin(Cluster):
    """DMC's loss of the cosines of centres (Hu et al., CVPR 2019): `losses.max_margin`."""

    function = staticmethod(pairs.max_margin)

    def __init__(
        self, margin: float, negatives: str = "derangement", seed: int = 0, **options: Any
    ):
        super().__init__(margin, negatives, seed, **options)


@keras.saving.register_keras_serializable("tfav")
class ClusterContrastive(Cluster):
    """Simplified DMC's loss of the distances of centres: `losses.cluster_contrastive`."""

    function = staticmethod(pairs.cluster_contrastive)

    def __init__(
        self, margin: float = 5.0, negatives: str = "derangement", seed: int = 0, **options: Any
    ):
        super().__init__(margin, negatives, seed, **options)


class Pair(loss.Loss):
    """A loss of the scores of pairs that the model has made: `[matched, mismatched...]` per row.

    A subclass sets `function`.
    """

    def rows(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each row, [B], of scores [B, 1 + M].

        Raises:
          UserError: `y_pred` is no such matrix.
        """
        if y_pred.shape.rank != 2 or (y_pred.shape[1] or 0) < 2:
            raise registry.UserError(
                f"y_pred of {type(self).__name__} is {y_pred.shape}: give [B, 1 + M], per row the "
                "score of its matched pair and then of M mismatched ones."
            )
        return self.function(y_pred[:, 0], y_pred[:, 1:], **self.arguments)


@keras.saving.register_keras_serializable("tfav")
class PairHinge(Pair):
    """Hinge between similarities (DMC): `losses.hinge`."""

    function = staticmethod(pairs.hinge)

    def __init__(self, margin: float, **options: Any):
        super().__init__({"margin": margin}, **options)


@keras.saving.register_keras_serializable("tfav")
class PairContrast(Pair):
    """Contrast between squared distances (Simplified DMC): `losses.contrast`."""

    function = staticmethod(pairs.contrast)

    def __init__(self, margin: float, **options: Any):
        super().__init__({"margin": margin}, **options)


@keras.saving.register_keras_serializable("tfav")
class PairCorrespondence(Pair):
    """L3's binary cross-entropy (Arandjelovic and Zisserman, 2017): `losses.correspondence`."""

    function = staticmethod(pairs.correspondence)

    def __init__(self, **options: Any):
        super().__init__({}, **options)


@keras.saving.register_keras_serializable("tfav")
class InfoNCE(loss.Loss):
    """InfoNCE in both directions, all other rows being negatives: `losses.info_nce`.

    Args:
      scale: Factor of the cosines, one over the temperature.
      **options: `reduction`, `name` and `dtype`.
    """

    function = staticmethod(pairs.info_nce)

    def __init__(self, scale: float, **options: Any):
        super().__init__({"scale": scale}, **options)

    def rows(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each row, [B], of embeddings [B, 2 D]."""
        return pairs.info_nce(*self.halves(y_pred, "embeddings"), **self.arguments)
