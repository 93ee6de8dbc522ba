"""Which classes the logits of a step are of, and what a loss asks of such logits row by row.

All of them, those that were drawn (`class_sampling`), or those of this replica (`class_shards`): a
recipe computes logits of `everyone`'s embeddings with `weights`, and asks for the rest here.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import tensorflow as tf

from tfav import compat, registry
from tfav.layers import class_sampling, class_shards
from tfav.losses import multimodal, softmax
from tfav.ops import distributed, precision

Rows = TypeVar("Rows", tf.Tensor, Mapping[str, tf.Tensor])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """Classes that lie here, on every replica the same.

    Attributes:
      label: Class of each row [b] int, as a number below `count`.
      count: Number of classes that the loss compares, or [] int32 where they were drawn.
      weights: Name of a head to the weights that its logits are computed with; empty: its own.
      column: Place of each row's own class among the columns of the logits, [b] int.
      here: Whether it is among them, [b] bool; None: of every row.
    """

    label: tf.Tensor
    count: int | tf.Tensor
    weights: Mapping[str, tf.Tensor]
    column: tf.Tensor
    here: tf.Tensor | None = None

    def everyone(self, x: Rows) -> Rows:
        """Returns the rows [b, ...] that the logits are of: those of this replica."""
        return x

    def cross_entropy(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the cross entropy of each row of this replica, [b]."""
        return softmax.cross_entropy(logits, self.column)

    def own(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the logit of each row's own class, [b]."""
        return tf.gather(logits, self.column, axis=1, batch_dims=1)

    def margin(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns by how much the logit of a row's own class is above the others' mean, [b]."""
        return multimodal.margin(logits, self.column)

    def hits(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns 1 where the largest of a row's logits is its own class's, else 0, [b]."""
        found = tf.equal(tf.argmax(logits, -1, tf.int32), tf.cast(self.column, tf.int32))
        return tf.cast(found, logits.dtype)

    def posterior(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the posterior of each row's own class, [b]."""
        return self.own(tf.nn.softmax(logits))

    def mean(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the mean [] over all classes of what has the mean `x` over those here."""
        return x

    def largest(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the largest [] over all classes of what is at most `x` over those here."""
        return x


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardColumns(Columns):
    """Classes of which each replica holds its own share: logits are of the rows of all replicas.

    `column` and `here` are of these B rows, and what the methods return of the replica's own b. The
    columns that fill up the last replicas count for nothing.

    Attributes:
      valid: Whether a column is a class, [m] bool.
    """

    valid: tf.Tensor

    def everyone(self, x: Rows) -> Rows:
        """Returns the rows of all replicas, [B, ...]."""
        return tf.nest.map_structure(distributed.gather, x)

    def cross_entropy(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the cross entropy of each row of this replica, [b]."""
        total, own = self._sums(logits)
        return self._mine(total - own)

    def own(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the logit of each row's own class, [b]."""
        return self._mine(distributed.total(self._own_here(logits)))

    def margin(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns by how much the logit of a row's own class is above the others' mean, [b]."""
        own = self._own_here(logits)
        others = tf.reduce_sum(tf.where(self.valid, logits, 0.0), axis=1) - own
        return self._mine(distributed.total(own - others / (self.count - 1)))

    def hits(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns 1 where the largest of a row's logits is its own class's, else 0, [b]."""
        logits = self._masked(tf.stop_gradient(logits))
        best = tf.equal(tf.argmax(logits, -1, tf.int32), tf.cast(self.column, tf.int32))
        best = tf.cast(tf.logical_and(best, self.here), logits.dtype)
        top = tf.reduce_max(logits, axis=1)[tf.newaxis]
        first = tf.argmax(distributed.gather(top), axis=0, output_type=tf.int32)
        is_first = tf.cast(tf.equal(first, distributed.replica_id()), logits.dtype)
        return self._mine(distributed.total(best * is_first))

    def posterior(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the posterior of each row's own class, [b]."""
        return tf.exp(-self.cross_entropy(logits))

    def mean(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the mean [] over all classes of what has the mean `x` over those here."""
        share = self.valid.shape[0] / self.count
        return distributed.total(share * x)

    def largest(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the largest [] over all classes of what is at most `x` over those here."""
        return tf.reduce_max(distributed.gather(tf.stop_gradient(x)[tf.newaxis]))

    def _masked(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.where(self.valid, precision.full(logits), -float("inf"))

    def _own_here(self, logits: tf.Tensor) -> tf.Tensor:
        own = tf.gather(logits, self.column, axis=1, batch_dims=1)
        return tf.where(self.here, own, 0.0)

    def _sums(self, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the log of the sum of exponentials over all classes, and the own logit, [B]."""
        logits = self._masked(logits)
        top = tf.reduce_max(tf.stop_gradient(logits), axis=1)[tf.newaxis]
        top = tf.reduce_max(distributed.gather(top), axis=0)
        exponentials = tf.reduce_sum(tf.exp(logits - top[:, tf.newaxis]), axis=1)
        sums = distributed.total(tf.stack([exponentials, self._own_here(logits)]))
        return tf.math.log(sums[0]) + top, sums[1]

    def _mine(self, rows: tf.Tensor) -> tf.Tensor:
        size = tf.shape(self.label)[0]
        first = distributed.replica_id() * size
        return rows[first : first + size]


def check(
    sharded: bool, sampled: float, balance: str = "off", agreement_weight: float = 0.0
) -> None:
    """Refuses classes that the replicas share beside what they do not go with.

    Args:
      sharded: Whether the replicas share them.
      sampled: Share of the classes that a step takes.
      balance: Method that balances the modalities.
      agreement_weight: Weight of a term between the logits of two modalities.

    Raises:
      UserError: that.
    """
    if sharded and sampled != 1.0:
        raise registry.UserError(
            f"sharded=True beside sampled={sampled}: a draw takes its classes from all; set "
            "model.sharded to False, or model.sampled to 1."
        )
    other = f"balance={balance!r}" if balance != "off" else f"agreement_weight={agreement_weight}"
    if sharded and (balance != "off" or agreement_weight):
        raise registry.UserError(
            f"sharded=True beside {other}, which needs a row's logits of all classes, and a "
            "replica has those of its own: set model.sharded to False, or leave the other out."
        )


def of(heads: Mapping[str, Any], label: tf.Tensor, num_classes: int, training: bool) -> Columns:
    """Returns the classes of a step: in training those that `sampler` draws, if there is one.

    Args:
      heads: Layers by name; those with a method `rows` classify.
      label: Class of each row, [b] int.
      num_classes: Number of classes.
      training: Whether this is a step of the training.
    """
    if training and "sampler" in heads:
        classes, column = heads["sampler"](label)
        weights = {name: heads[name].rows(classes) for name in class_sampling.sampled(heads)}
        return Columns(label=column, count=tf.size(classes), weights=weights, column=column)
    spread = class_shards.spread(heads) if distributed.num_replicas() > 1 else []
    if not spread:
        return Columns(label=label, count=num_classes, weights={}, column=label)
    weights = {name: tf.convert_to_tensor(heads[name].kernel) for name in spread}
    head = heads[spread[0]]
    size = compat.raw(head.kernel).shape[0] * num_classes // head.num_rows
    first = distributed.replica_id() * size
    column = tf.cast(distributed.gather(label), tf.int32) - first
    return ShardColumns(
        label=label,
        count=num_classes,
        weights=weights,
        column=tf.clip_by_value(column, 0, size - 1),
        here=tf.logical_and(column >= 0, column < size),
        valid=first + tf.range(size) < num_classes,
    )
