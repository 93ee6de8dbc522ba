"""Methods that balance modalities by a loss on their features: PMR and LFM."""

from collections.abc import Mapping

import tensorflow as tf

from tfav.losses import pairs, rebalancing, softmax
from tfav.ops import distributed, precision, sums
from tfav.recipes import balancing
from tfav.recipes.balancing import Balance, Seen


class PMR(Balance):
    """A loss of distances to the classes' mean features, for the modality that lags behind.

    Costs no pass: a matrix product of the features with the prototypes per modality.

    Args:
      sizes, num_classes: as `Balance`.
      alpha: Weight of the prototype loss.
      momentum: Share of a class's prototype that a step with rows of the class keeps.
      penalty: Weight of the entropy of the modality ahead, which is subtracted.
      penalty_steps: Steps in which there is that penalty.
    """

    scalars = ("loss_prototype",)

    def __init__(
        self,
        sizes: Mapping[str, int],
        num_classes: int,
        alpha: float = 1.0,
        momentum: float = 0.9,
        penalty: float = 0.0,
        penalty_steps: int = 0,
    ):
        super().__init__(sizes, num_classes)
        self._alpha, self._momentum = alpha, momentum
        self._penalty, self._penalty_steps = penalty, penalty_steps
        dtype = precision.full_dtype()
        self._columns = list(sizes.values())
        zeros = tf.zeros([num_classes, sum(self._columns)], dtype)
        self.prototypes = balancing.variable(zeros, "prototypes")
        self.known = balancing.variable(tf.zeros([num_classes], dtype), "known")
        self.steps = balancing.variable(tf.zeros([], tf.int64), "steps")

    def losses(self, seen: Seen) -> dict[str, tf.Tensor]:
        """Returns the loss with the prototypes' part; in training they take the batch in first."""
        early = tf.cast(self.steps < self._penalty_steps, self.known.dtype)
        if seen.training:
            self._observe(seen)
        prototypes = tf.split(tf.convert_to_tensor(self.prototypes), self._columns, axis=1)
        features = [seen.features[m] for m in self.modalities]
        said = [rebalancing.prototype_logits(x, p) for x, p in zip(features, prototypes)]
        own = [tf.gather(tf.nn.softmax(z), seen.label, axis=1, batch_dims=1) for z in said]
        scores = balancing.mean_of_batch(tf.stack(own, axis=1))
        behind, ahead = (tf.unstack(w) for w in rebalancing.rebalance(scores))
        parts = [w * softmax.cross_entropy(z, seen.label) for w, z in zip(behind, said)]
        loss = self._alpha * sums.in_order(parts)
        if self._penalty:
            parts = [w * rebalancing.entropy(z) for w, z in zip(ahead, said)]
            loss -= self._penalty * early * sums.in_order(parts)
        return {"loss": seen.loss + loss, "loss_prototype": loss}

    def _observe(self, seen: Seen) -> None:
        label = distributed.gather(seen.label)
        count = tf.math.bincount(label, minlength=self.num_classes, maxlength=self.num_classes)
        count = tf.cast(count, self.known.dtype)
        there = tf.cast(count > 0, count.dtype)
        # A class that is seen for the first time has no prototype to keep a share of.
        new = there * (1.0 - self._momentum * self.known)
        features = [precision.full(seen.features[m]) for m in self.modalities]
        rows = distributed.gather(tf.stop_gradient(tf.concat(features, axis=1)))
        total = tf.math.unsorted_segment_sum(rows, label, self.num_classes)
        mean = tf.math.divide_no_nan(total, count[:, tf.newaxis])
        before = tf.convert_to_tensor(self.prototypes)
        self.prototypes.assign(before + new[:, tf.newaxis] * (mean - before))
        self.known.assign(tf.maximum(self.known, there))
        self.steps.assign_add(1)


class LFM(Balance):
    """Less fitting of labels at first: rows find their other modality in the batch instead.

    `(1 - w) * cross-entropy + w * InfoNCE` with `w = exp(-step / fade_steps)`, InfoNCE the mean
    over pairs of modalities. Costs no pass more: a matrix of cosines of the batch per pair.

    Args:
      sizes, num_classes: as `Balance`.
      fade_steps: Steps in which the weight of InfoNCE falls to 1 / e.
      temperature: of the cosines.
    """

    scalars = ("loss_matching", "matching_weight")

    def __init__(
        self,
        sizes: Mapping[str, int],
        num_classes: int,
        fade_steps: int = 100,
        temperature: float = 0.1,
    ):
        super().__init__(sizes, num_classes)
        balancing.one_size(sizes, "lfm")
        self._fade_steps, self._temperature = fade_steps, temperature
        self.steps = balancing.variable(tf.zeros([], tf.int64), "steps")

    def losses(self, seen: Seen) -> dict[str, tf.Tensor]:
        """Returns the loss of this step, the term that fades and its weight."""
        rows = list(seen.features.values())
        terms = [
            pairs.info_nce(one, other, 1.0 / self._temperature)
            for i, one in enumerate(rows)
            for other in rows[i + 1 :]
        ]
        matching = sums.in_order(terms) / len(terms)
        weight = tf.exp(-tf.cast(self.steps, matching.dtype) / self._fade_steps)
        if seen.training:
            self.steps.assign_add(1)
        return {
            "loss": (1.0 - weight) * seen.loss + weight * matching,
            "loss_matching": matching,
            "matching_weight": weight * tf.ones_like(matching),
        }
