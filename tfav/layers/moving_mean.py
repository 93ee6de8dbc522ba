"""The mean of what training has seen, late steps counting most."""

import tensorflow as tf

from tfav.ops import distributed, precision


class MovingMean(tf.Module):
    """Moving mean of vectors over the steps of training, in which late steps count most.

    State, all of it in checkpoints: `total` and `count`, both discounted alike, so that the mean of
    the first few steps is unbiased too.

    Args:
      shape: Shape of the mean.
      momentum: Share of `total` and `count` that a step keeps.
      name: Name of the table.
    """

    def __init__(self, shape: tuple[int, ...], momentum: float = 0.99, name: str = "mean"):
        super().__init__(name=name)
        self.momentum = momentum
        # Every replica assigns the same gathered value, so the first one's is everybody's.
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        zeros = tf.zeros(shape, precision.full_dtype())
        self.total = tf.Variable(zeros, False, name="total", aggregation=first)
        self.count = tf.Variable(tf.zeros([], zeros.dtype), False, name="count", aggregation=first)

    def observe(self, rows: tf.Tensor) -> None:
        """Takes in the mean over the global batch of `rows` [b, ...] of this replica."""
        mean = tf.reduce_mean(distributed.gather(tf.stop_gradient(rows)), axis=0)
        self.total.assign(self.momentum * self.total + (1.0 - self.momentum) * mean)
        self.count.assign(self.momentum * self.count + (1.0 - self.momentum))

    def value(self) -> tf.Tensor:
        """Returns the mean, zeros before the first step."""
        return tf.math.divide_no_nan(tf.convert_to_tensor(self.total), self.count)
