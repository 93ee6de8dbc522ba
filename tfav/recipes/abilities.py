"""What some recipes can do besides embedding, as protocols: who has the methods has the ability.

`outputs` says of a recipe which it has.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf

from tfav import tensors


class Classifier(Protocol):
    """Tells classes apart by any of its modalities.

    Attributes:
      num_classes: C.
    """

    num_classes: int

    def features(self, batch: tensors.Batch, training: bool = False) -> dict[str, tf.Tensor]:
        """Returns the features [B, D_m] of the modalities that a batch has."""

    def logits(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the logits [B, C] of `fused` and of each modality that the features have."""

    def loss_logits(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the logits [B, C] that the losses are of, by the same names."""


class FusionFitter(Classifier, Protocol):
    """A classifier whose fused logits are a weighted sum, with weights that suit a validation."""

    fits_fusion: bool

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Takes a weight per modality."""


class Localizer(Protocol):
    """Says where in an image a sound comes from.

    One with a method `confidence(batch)`, [B], also says how sure each map is that something in its
    image sounds: larger is surer, in any unit.
    """

    def localize(self, batch: tensors.Batch) -> tf.Tensor:
        """Returns maps [B, S, S] in [0, 1], of several frames [B, F, S, S]."""


class PairScorer(Protocol):
    """Scores pairs of audio and image by what it represents each by.

    One that was taught a score from which a pair is matched says so in an attribute `decision`; of
    others an export takes the score at which matched and mismatched pairs err alike.
    """

    def represent(self, modality: str, batch: tensors.Batch, training: bool = False) -> tf.Tensor:
        """Returns what `pair_scores` takes of one modality, [B, ...]."""

    def pair_scores(self, audio: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Returns [B, N], how well each audio fits each image: larger is closer."""


class Clusterer(Protocol):
    """Assigns the positions of a feature map to clusters."""

    @property
    def map_shape(self) -> Mapping[str, tf.TensorShape]:
        """Modality to [1, H', W', C] of its feature map."""

    def clusters(self, batch: tensors.Batch, modality: str) -> tuple[tf.Tensor, tf.Tensor, Any]:
        """Returns centres [B, K, d], assignments [B, P, K] and the grid of the positions."""
