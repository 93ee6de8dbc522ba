"""What one replica must know of the others: its rank and the rows of the global batch."""

from typing import Any

import tensorflow as tf


def num_replicas() -> int:
    """Returns how many replicas run this code in sync: 1 outside a replica function.

    On the host ask the strategy itself (`strategy.num_replicas_in_sync`).
    """
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def replica_id() -> tf.Tensor:
    """Returns this replica's rank among all workers' replicas, int32 [] (0 outside of one)."""
    context = tf.distribute.get_replica_context()
    rank = 0 if context is None else context.replica_id_in_sync_group
    return tf.convert_to_tensor(rank, tf.int32)


def gather(x: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas, in the order of their ranks, with gradient.

    The gradient of row i is the sum of what every replica sends back to it. So a loss that each
    replica computes for its own rows and divides by the size of the global batch has, after the
    gradients are summed over replicas, exactly the gradient of one replica that sees the whole
    batch.

    Args:
      x: Rows of this replica, [b, ...], `b` the same on every replica; float32, float16, float64,
        int32 or int64 (collectives know no bfloat16 and no bool: cast first).

    Returns:
      [N * b, ...] for N replicas; `x` itself with one replica or outside a replica function.

    Raises:
      InvalidArgumentError: The replicas hold different numbers of rows.
      TypeError: The dtype is another one.
    """
    x = tf.convert_to_tensor(x)
    return x if num_replicas() == 1 else _gather(x)


def total(x: tf.Tensor) -> tf.Tensor:
    """Returns the sum over replicas of `x`, a tensor of one shape on all of them, with gradient.

    What every replica sends back to the sum reaches `x` on each, as of a loss that is the sum of
    the replicas' own.

    Args:
      x: float32 or float64, see `gather`.
    """
    x = tf.convert_to_tensor(x)
    return x if num_replicas() == 1 else _total(x)


@tf.custom_gradient
def _total(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
    def summed(y: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(tf.convert_to_tensor(y)))

    return summed(x), summed


@tf.custom_gradient
def _gather(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
    context = tf.distribute.get_replica_context()
    num_rows = tf.shape(x)[0]
    # A tensor straight from the iterator has no device when a worker has one replica, and
    # all_gather then fails with "destinations can not be empty": the identity gives it one.
    rows = context.all_gather(tf.identity(x), axis=0)
    same = tf.debugging.assert_equal(
        tf.shape(rows)[0],
        num_rows * context.num_replicas_in_sync,
        message="every replica must hold the same number of rows",
    )
    with tf.control_dependencies([] if same is None else [same]):
        rows = tf.identity(rows)
    if x.shape.rank is not None:
        known = None if x.shape[0] is None else x.shape[0] * context.num_replicas_in_sync
        rows.set_shape([known, *x.shape[1:]])

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        # A tf.gather downstream sends IndexedSlices, on which all_gather's own gradient dies.
        total = context.all_reduce(
            tf.distribute.ReduceOp.SUM, tf.identity(tf.convert_to_tensor(upstream))
        )
        start = replica_id() * num_rows
        return total[start : start + num_rows]

    return rows, gradient
