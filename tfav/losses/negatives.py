"""What the negatives of a batch weigh, for anchors of both modalities, from one product.

Row i of one modality and row j of the other make a pair; pairs of one label are no negatives. The
value of a pair is one number `p_ij`, such as a cosine. An anchor of the one modality sees it as
`s_i p_ij`, an anchor of the other as `t_j p_ij`. So both directions share one product of the batch,
and one more for each side's gradient.

The product goes in blocks of rows of about `BLOCK` pairs, which stay near the processor. Up to
`KEPT` pairs the gradient finds two numbers per pair that the value has left there. Beyond, or where
the size of the batch is not known, it computes each block again: memory is then that of one block.
A block has `LEAST_ROWS` at least, because each adds to the gradient of all columns.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfav.ops import distributed, row_blocks, similarity

BLOCK = 2**20
KEPT = 2**24
LEAST_ROWS = 64
# Below any value, and finite times any length: what is no negative has the weight zero and the
# gradient zero, exactly, and never NaN.
_NO_NEGATIVE = -1e25

Pair = tuple[tf.Tensor, tf.Tensor]


class Side(NamedTuple):
    """Rows of one modality.

    Attributes:
      vectors: Vectors [n, D] whose inner products with the other side's are the pairs' values.
      scale: Factor of the values as each anchor sees them, [n], positive.
      label: Identity of each row, [n] int.
    """

    vectors: tf.Tensor
    scale: tf.Tensor
    label: tf.Tensor


def by_cosine(x: tf.Tensor, label: tf.Tensor) -> Side:
    """Returns rows whose pairs are cosines and whose anchors see them by their own length.

    Args:
      x: Embeddings [n, D], not normalised.
      label: Identity of each row, [n] int.
    """
    return Side(similarity.normalize(x), similarity.length(x), tf.convert_to_tensor(label))


def by_product(x: tf.Tensor, label: tf.Tensor) -> Side:
    """Returns rows whose pairs are inner products, and the same to both anchors.

    Args:
      x: Embeddings [n, D], float32 or float64.
      label: Identity of each row, [n] int.
    """
    return Side(x, tf.ones_like(x[:, 0]), tf.convert_to_tensor(label))


def own(one: Side, other: Side) -> Pair:
    """Returns what each anchor's own pair is to it: [b] of `one`, [b] of `other`."""
    value = tf.reduce_sum(one.vectors * other.vectors, axis=1)
    return one.scale * value, other.scale * value


def log_sums(one: Side, other: Side) -> Pair:
    """Returns the log of the sum of `exp(scale * value)` over the negatives of each anchor.

    Negatives come from the global batch. Without any, the result is finite and far below all else.

    Args:
      one: Rows of this replica, b of them.
      other: Rows of this replica; row i makes a pair with row i of `one`.

    Returns:
      [b] for anchors of `one`, [b] for anchors of `other`.
    """
    return _of_all_replicas(_log_sums, tf.reduce_logsumexp, one, other)


def hardest(one: Side, other: Side) -> Pair:
    """Returns the largest `scale * value` over the negatives of each anchor, without gradient.

    Arguments and results are those of `log_sums`.
    """
    one, other = (Side(*map(tf.stop_gradient, side)) for side in (one, other))

    def maxima(rows: Side, columns: Side) -> Pair:
        return _in_blocks(_block_maxima, tf.reduce_max, rows, columns)

    return _of_all_replicas(maxima, tf.reduce_max, one, other)


def _of_all_replicas(
    find: Callable[[Side, Side], Pair], reduce: Callable[..., tf.Tensor], one: Side, other: Side
) -> Pair:
    rows, columns = find(one, Side(*map(distributed.gather, other)))
    if distributed.num_replicas() > 1:
        # Each replica knows what its own rows say of the columns of all: [replicas, all columns].
        said = distributed.gather(columns[tf.newaxis])
        num_rows = tf.shape(rows)[0]
        start = distributed.replica_id() * num_rows
        columns = tf.ensure_shape(reduce(said[:, start : start + num_rows], axis=0), rows.shape)
    return rows, columns


def _log_sums(rows: Side, columns: Side) -> Pair:
    if _all_kept(rows, columns):
        return _in_blocks(_block_log_sums, tf.reduce_logsumexp, rows, columns)

    @tf.custom_gradient
    def again(
        vectors: tf.Tensor, scale: tf.Tensor, column_vectors: tf.Tensor, column_scale: tf.Tensor
    ) -> tuple[Pair, Any]:
        sides = Side(vectors, scale, rows.label), Side(column_vectors, column_scale, columns.label)
        found = _in_blocks(_block_log_sums, tf.reduce_logsumexp, *sides)
        return found, lambda *upstream: _gradient(*sides, found[1], *upstream)

    return again(*rows[:2], *columns[:2])


def _gradient(
    rows: Side, columns: Side, total: tf.Tensor, by_rows: tf.Tensor, by_columns: tf.Tensor
) -> list[tf.Tensor]:
    """Returns the gradients of vectors and scales of both sides.

    Args:
      rows: b rows.
      columns: n columns.
      total: What `log_sums` gave for the columns, [n].
      by_rows: Gradient by what it gave for the rows, [b].
      by_columns: Gradient by `total`, [n].
    """

    def block(start: tf.Tensor, size: tf.Tensor) -> list[tf.Tensor]:
        part = _part(rows, start, size)
        moved = [*part[:2], *columns[:2]]
        with tf.GradientTape() as tape:
            tape.watch(moved)
            found = _block_log_sums(part, columns)
        share = by_columns * tf.exp(found[1] - total)
        return tape.gradient(found, moved, [by_rows[start : start + size], share])

    zeros = [tf.zeros_like(x) for x in columns[:2]]
    return row_blocks.loop(block, tf.add, _block_rows(columns), list(rows[:2]), zeros)


def _in_blocks(
    block: Callable[[Side, Side], Pair],
    reduce: Callable[..., tf.Tensor],
    rows: Side,
    columns: Side,
) -> Pair:
    """Returns `block` of all rows: its rows one after the other, its columns reduced to one."""
    if _all_kept(rows, columns):
        num_rows, size = rows.label.shape[0], _block_rows(columns)
        sizes = [min(size, num_rows - start) for start in range(0, num_rows, size)]
        found: list[Pair] = []
        for part in zip(*(tf.split(x, sizes) for x in rows)):
            # One after the other: what a block needs for itself is there once.
            with tf.control_dependencies(list(found[-1]) if found else []):
                found.append(block(Side(*part), columns))
        return tf.concat([x for x, _ in found], 0), reduce(tf.stack([x for _, x in found]), axis=0)
    lowest = tf.zeros_like(columns.scale) + columns.scale.dtype.min
    found = row_blocks.loop(
        lambda start, size: block(_part(rows, start, size), columns),
        lambda a, b: reduce(tf.stack([a, b]), axis=0),
        _block_rows(columns),
        [rows.scale],
        [lowest],
    )
    return found[0], found[1]


def _all_kept(rows: Side, columns: Side) -> bool:
    num_rows, num_columns = rows.label.shape[0], columns.label.shape[0]
    return None not in (num_rows, num_columns) and num_rows * num_columns <= KEPT


def _block_rows(columns: Side) -> Any:
    """Returns how many rows a block has, an int where the number of columns is known."""
    num_columns = columns.label.shape[0]
    if num_columns is not None:
        return max(LEAST_ROWS, BLOCK // num_columns)
    return tf.maximum(LEAST_ROWS, BLOCK // tf.shape(columns.label)[0])


def _part(rows: Side, start: Any, size: Any) -> Side:
    return Side(*(x[start : start + size] for x in rows))


def _values(rows: Side, columns: Side) -> tf.Tensor:
    """Returns the values of all pairs, those of no negatives far below all else."""
    products = tf.matmul(rows.vectors, columns.vectors, transpose_b=True)
    negative = rows.label[:, tf.newaxis] != columns.label
    return tf.where(negative, products, _NO_NEGATIVE)


def _block_maxima(rows: Side, columns: Side) -> Pair:
    values = _values(rows, columns)
    return (
        rows.scale * tf.reduce_max(values, axis=1),
        columns.scale * tf.reduce_max(values, axis=0),
    )


def _block_log_sums(rows: Side, columns: Side) -> Pair:
    """Returns `log_sums` of these rows and columns, with a gradient that reads two buffers."""

    @tf.custom_gradient
    def block(
        vectors: tf.Tensor, scale: tf.Tensor, column_vectors: tf.Tensor, column_scale: tf.Tensor
    ) -> tuple[Pair, Any]:
        sides = Side(vectors, scale, rows.label), Side(column_vectors, column_scale, columns.label)
        values = _values(*sides)
        highest = tf.reduce_max(values, axis=0)
        power = tf.exp((values - highest) * column_scale)
        # As a product, because TensorFlow's sum over rows is five times slower.
        ones = tf.ones_like(scale)
        mass = tf.linalg.matvec(power, ones, transpose_a=True)
        by_column = column_scale * highest + tf.math.log(mass)
        column_mean = tf.linalg.matvec(power * values, ones, transpose_a=True) / mass
        with tf.control_dependencies([column_mean]):  # what that took is free again
            scaled = scale[:, tf.newaxis] * values
        # One kernel makes the weights of a row. Its largest is one over the sum that it divides by.
        weight = tf.nn.softmax(scaled)
        by_row = scale * tf.reduce_max(values, axis=1) - tf.math.log(tf.reduce_max(weight, axis=1))
        row_mean = tf.reduce_sum(weight * values, axis=1)

        def gradient(rows_above: tf.Tensor, columns_above: tf.Tensor) -> list[tf.Tensor]:
            by_value = weight * (rows_above * scale)[:, tf.newaxis]
            by_value += power * (columns_above * column_scale / mass)
            return [
                tf.matmul(by_value, column_vectors),
                rows_above * row_mean,
                tf.matmul(by_value, vectors, transpose_a=True),
                columns_above * column_mean,
            ]

        return (by_row, by_column), gradient

    return block(*rows[:2], *columns[:2])
