"""Identity re-weighting (Wen et al., CVPR 2021): easy identities first, the hardest never."""

import math

import numpy as np
import tensorflow as tf
from absl import logging

from tfav import registry
from tfav.ops import distributed, precision


def _state(value: np.ndarray, name: str) -> tf.Variable:
    # Every replica assigns the same gathered value, so the first one's is everybody's.
    return tf.Variable(
        value.astype(precision.full_dtype()),
        trainable=False,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


class IdentityWeights(tf.Module):
    """A weight per identity, grown from the easiest on; defaults are the released constants.

    It is not a Keras layer, because a layer's `weights` is a property. State, all of it in
    checkpoints: `hardness` [M], a moving mean of each identity's loss; `weight` [M], before
    normalisation; `ratio` [], the share of identities in use, -1 before the first growth.

    Args:
      num_identities: Number M of identities.
      initial_hardness: Hardness that every identity starts with; None means 2 ln S, the loss of a
        classifier of S classes that knows nothing (the released 14.0 is about that for 924). With
        less, an identity counts as easy until a batch has held it.
      num_compared: Number S of identities that a step's loss compares; None means all M.
      momentum: Share of the hardness that a step keeps.
      first_fraction: Share of the identities that the first growth takes.
      growth_fraction: Share of the identities that each later growth adds.
      decay: Factor of all weights at each growth, so that the later (harder) ones end up heavier.
      final_ratio: Share of identities in use from which on nothing grows.
      name: Name of the table.

    Raises:
      UserError: There is no identity, or a fraction lies outside (0, 1].
    """

    def __init__(
        self,
        num_identities: int,
        *,
        initial_hardness: float | None = 14.0,
        num_compared: int | None = None,
        momentum: float = 0.9,
        first_fraction: float = 0.5,
        growth_fraction: float = 0.024,
        decay: float = 0.99,
        final_ratio: float = 0.90,
        name: str = "identity",
    ):
        super().__init__(name=name)
        if num_identities < 1:
            raise registry.UserError(f"num_identities={num_identities}: give at least one.")
        fractions = {
            "momentum": momentum,
            "first_fraction": first_fraction,
            "growth_fraction": growth_fraction,
            "decay": decay,
            "final_ratio": final_ratio,
        }
        for field, value in fractions.items():
            if not 0 < value <= 1:
                raise registry.UserError(
                    f"{field}={value} of the identity weights must lie above 0 and not above 1."
                )
        ignorant = 2.0 * math.log(max(num_compared or num_identities, 2))
        if initial_hardness is None:
            initial_hardness = ignorant
        elif initial_hardness < 0.98 * ignorant:
            logging.warning(
                "initial_hardness=%g lies below %.4g, the loss of a classifier that knows nothing: "
                "identities that no batch has held yet count as easy and are taken first; give "
                "None for that loss.",
                initial_hardness,
                ignorant,
            )
        self.num_identities = num_identities
        self.momentum = momentum
        self.first_fraction = first_fraction
        self.growth_fraction = growth_fraction
        self.decay = decay
        self.final_ratio = final_ratio
        self.hardness = _state(np.full(num_identities, initial_hardness), "hardness")
        self.weight = _state(np.ones(num_identities), "weight")
        self.ratio = _state(np.array(-1.0), "ratio")

    @property
    def active_ratio(self) -> float:
        """The share of identities whose weight is above zero."""
        return float(np.mean(self.weight.numpy() > 0))

    def weights(self, label: tf.Tensor) -> tf.Tensor:
        """Returns each row's weight, float32 [b]: the mean over all identities is 1.

        A global batch whose identities all weigh zero gets ones, so that it still has a loss.

        Args:
          label: Identity of each row, [b] int.
        """
        scaled = self.weight * (self.num_identities / tf.reduce_sum(self.weight))
        rows = tf.gather(scaled, label)
        empty = tf.reduce_sum(distributed.gather(rows)) < 1e-3
        return tf.stop_gradient(rows + tf.cast(empty, rows.dtype))

    def observe(self, label: tf.Tensor, hardness: tf.Tensor) -> tf.Tensor:
        """Moves the hardness of the identities of the global batch, then returns `weights(label)`.

        Rows of one identity count as their mean (the released code keeps whichever row was written
        last).

        Args:
          label: Identity of each row, [b] int.
          hardness: Unweighted loss of each row, [b].
        """
        everyone = distributed.gather(label)
        loss = distributed.gather(tf.stop_gradient(precision.full(hardness)))
        total = tf.math.unsorted_segment_sum(loss, everyone, self.num_identities)
        count = tf.math.unsorted_segment_sum(tf.ones_like(loss), everyone, self.num_identities)
        moved = self.momentum * self.hardness + (1.0 - self.momentum) * tf.math.divide_no_nan(
            total, count
        )
        self.hardness.assign(tf.where(count > 0, moved, self.hardness))
        return self.weights(label)

    def update(self) -> None:
        """Takes one growth step, on the host and between two calls of the training function.

        The first sets all weights to zero and takes the easiest `first_fraction`; each later one
        adds the easiest `growth_fraction` of those left. Weights so far decay, new ones start at 1.
        """
        weight, hardness = self.weight.numpy(), self.hardness.numpy()
        ratio = float(self.ratio.numpy())
        if ratio < 0:
            weight = np.zeros_like(weight)
            fraction = self.first_fraction
        elif ratio >= self.final_ratio:  # float32 holds 0.9 as a bit less: that grows once more
            return
        else:
            fraction = self.growth_fraction
        # The released floor gives 0 below 42 identities, and then the share never grows. Only the
        # unused are sorted: adding 1e6 in float32, as released, rounds their hardness to 1/16.
        unused = np.flatnonzero(weight == 0)
        easiest = unused[np.argsort(hardness[unused], kind="stable")]
        picked = easiest[: max(1, math.floor(fraction * self.num_identities))]
        weight = self.decay * weight
        weight[picked] = 1.0
        self.weight.assign(weight)
        self.ratio.assign(np.mean(weight > 0))
