"""Sums of a few tensors, whose rounding is the same in every run."""

from collections.abc import Sequence

import tensorflow as tf


def in_order(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the sum of tensors of one shape, in the order in which they are given.

    `tf.add_n` begins with one whose memory nobody else reads any more. Which of three that is hangs
    on threads, and with it the rounding: a run would not end twice with the same bits.

    Args:
      values: at least one.
    """
    if len(values) < 3:  # in whatever order, they are the same
        return values[0] + values[1] if len(values) > 1 else values[0]
    return tf.reduce_sum(tf.stack(values), axis=0)
