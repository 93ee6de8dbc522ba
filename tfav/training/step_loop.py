"""The loop of the steps of one call, written out as TensorFlow's own."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from tfav import compat, tensors
from tfav.data.input import drawn_batches
from tfav.ops import precision


# It carries one vector of all scalars, and AutoGraph does not rewrite it: TensorFlow takes a
# microsecond for each operation, and a step of a small model has little else.
def run(
    step: Callable[[tensors.Batch], dict[str, tf.Tensor]],
    names: Sequence[str],
    batches: Iterator,
    num_steps: tf.Tensor,
) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
    """Takes steps until one is not finite; within a `tf.function`.

    Args:
      step: a batch to its scalars [], among them `loss` and `gradient_norm`.
      names: of these scalars.
      batches: one per step.
      num_steps: how many, [] int32.

    Returns:
      the sum of each scalar, []; the number of the first step that was not finite, else -1, []; and
      for how many seconds batches were not there when a step was done, [] float64.
    """
    # Clocks only look on: batches are fetched ahead of the steps all the same. TensorFlow has none
    # under op determinism, and a batch that the step makes itself is never waited for.
    timed = not compat.deterministic() and not isinstance(batches, drawn_batches.DrawnBatches)

    def going(number: tf.Tensor, good: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return tf.logical_and(number < num_steps, good)

    def one(
        number: tf.Tensor, _: tf.Tensor, totals: tf.Tensor, *clocks: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        batch = next(batches)
        if timed:
            waited, done = clocks
            waited += tf.maximum(_when(batch) - done, 0.0)
        scalars = step(batch)
        if timed:
            clocks = waited, _when(scalars)
        good = tf.math.is_finite(scalars["loss"] + scalars["gradient_norm"])
        totals += tf.stack([scalars[name] for name in names])
        return number + 1, good, totals, *clocks

    zeros = tf.zeros([len(names)], precision.full_dtype())
    no_time = tf.constant(0.0, tf.float64)
    start = (tf.constant(0), tf.constant(True), zeros)
    clocks = (no_time, _when([])) if timed else ()
    steps, good, totals, *clocks = tf.while_loop(going, one, (*start, *clocks))
    first_bad = tf.where(good, -1, steps - 1)
    return dict(zip(names, tf.unstack(totals))), first_bad, clocks[0] if timed else no_time


def _when(values: Any) -> tf.Tensor:
    """Returns the time [] float64 in seconds at which all of some tensors were there."""
    with tf.control_dependencies(tf.nest.flatten(values, expand_composites=True)):
        return tf.timestamp()
