"""Methods that train modalities in turn: MLA and ReconBoost."""

from collections.abc import Mapping

import tensorflow as tf

from tfav.losses import rebalancing, softmax
from tfav.ops import precision, sums
from tfav.recipes import balancing
from tfav.recipes.balancing import Balance, Gradients, Places, Seen


class MLA(Balance):
    """One modality per step, in turn, with one head of all that forgets none of them.

    Costs nothing more per step (one backward pass of one encoder), and a modality is trained in
    every n-th step alone. The head `common` belongs to it, and `late_fusion=certainty` reads it
    out. An optimizer with momentum goes on moving an encoder whose turn it is not.

    Args:
      sizes, num_classes: as `Balance`.
      alpha: of the recursive least squares that the head's gradient is projected by.
    """

    apart = True
    head = "common"

    def __init__(self, sizes: Mapping[str, int], num_classes: int, alpha: float = 0.1):
        super().__init__(sizes, num_classes)
        size = balancing.one_size(sizes, "mla")
        self._alpha = alpha
        dtype = precision.full_dtype()
        self.steps = balancing.variable(tf.zeros([], tf.int64), "steps")
        self.projection = balancing.variable(tf.eye(size, dtype=dtype), "projection")
        self.mean = balancing.variable(tf.zeros([size], dtype), "mean")

    def losses(self, seen: Seen) -> dict[str, tf.Tensor]:
        """Returns the cross-entropy of the modality whose turn it is; in evaluation the mean."""
        every = [softmax.cross_entropy(seen.logits[m], seen.label) for m in self.modalities]
        if not seen.training:
            return {"loss": sums.in_order(every) / len(every)}
        turn = _turn(self.steps, len(every), 1)
        means = [balancing.mean_of_batch(seen.features[m]) for m in self.modalities]
        self.mean.assign(tf.stack(means)[turn])
        self.steps.assign_add(1)
        return {"loss": tf.stack(every)[turn]}

    def combine(
        self,
        gradients: Mapping[str, Gradients],
        places: Places,
        scalars: Mapping[str, tf.Tensor],
    ) -> list[tf.Tensor]:
        """Returns the gradients, the head's projected; this step's features are projected next."""
        del scalars
        projection = tf.convert_to_tensor(self.projection)
        found = list(gradients["loss"])
        found[places.head] = tf.matmul(found[places.head], projection)
        updated = rebalancing.orthogonal_update(
            projection, tf.convert_to_tensor(self.mean), self._alpha
        )
        self.projection.assign(updated)
        return found


class ReconBoost(Balance):
    """Modalities as learners that are boosted in turn, then all of them together.

    In the turn of m the loss is the cross-entropy of the sum of the logits in which those of the
    others are constants: its gradient is what the others have left to learn. Every (n+1)-th turn
    trains the sum as a whole. Costs no pass more; a modality is trained in 2 of n + 1 turns. An
    optimizer with momentum goes on moving an encoder whose turn it is not.

    Args:
      sizes, num_classes: as `Balance`.
      turn_steps: Steps of a turn.
    """

    apart = True

    def __init__(self, sizes: Mapping[str, int], num_classes: int, turn_steps: int = 10):
        super().__init__(sizes, num_classes)
        self._turn_steps = turn_steps
        self.steps = balancing.variable(tf.zeros([], tf.int64), "steps")

    def losses(self, seen: Seen) -> dict[str, tf.Tensor]:
        """Returns the loss of the turn; in evaluation that of the sum."""
        if not seen.training:
            return {"loss": seen.loss}
        count = len(self.modalities)
        turn = _turn(self.steps, count + 1, self._turn_steps)
        self.steps.assign_add(1)
        learns = [tf.logical_or(tf.equal(turn, i), tf.equal(turn, count)) for i in range(count)]
        logits = [
            tf.where(its, seen.logits[m], tf.stop_gradient(seen.logits[m]))
            for its, m in zip(learns, self.modalities)
        ]
        return {"loss": softmax.cross_entropy(sums.in_order(logits), seen.label)}


def _turn(steps: tf.Variable, count: int, turn_steps: int) -> tf.Tensor:
    """Returns whose turn of `count` it is, [] int64."""
    return tf.convert_to_tensor(steps) // turn_steps % count
