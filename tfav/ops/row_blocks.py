"""A loop over blocks of rows, for what would not fit into memory at once."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def loop(
    block: Callable[[tf.Tensor, tf.Tensor], Any],
    merge: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    size: Any,
    like: list[tf.Tensor],
    merged: list[tf.Tensor],
) -> list[tf.Tensor]:
    """Returns `block(start, size)` of each block of rows in turn, one of them in memory at a time.

    Args:
      block: Function to one tensor per tensor of `like`, of the block's rows, then one per tensor
        of `merged`.
      merge: Function that joins one of those last with what the blocks before gave.
      size: Rows of a block; the last one may have fewer.
      like: Tensors of all rows, whose shapes and type the first results have.
      merged: What `merge` starts from.

    Returns:
      The first results of all rows, then the merged ones.
    """
    num_rows = tf.shape(like[0])[0]
    pieces = [
        tf.TensorArray(
            x.dtype,
            (num_rows - 1) // size + 1,
            infer_shape=False,
            element_shape=[None, *x.shape[1:]],
        )
        for x in like
    ]

    def body(i: tf.Tensor, pieces: list[tf.TensorArray], merged: list[tf.Tensor]) -> Any:
        found = block(i * size, size)
        pieces = [p.write(i, x) for p, x in zip(pieces, found)]
        return i + 1, pieces, [merge(a, b) for a, b in zip(merged, found[len(like) :])]

    _, pieces, merged = tf.while_loop(
        lambda i, *_: i * size < num_rows,
        body,
        (tf.constant(0), pieces, merged),
        parallel_iterations=1,
    )
    return [*(tf.ensure_shape(p.concat(), x.shape) for p, x in zip(pieces, like)), *merged]
