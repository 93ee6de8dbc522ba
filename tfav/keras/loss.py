"""What the losses of this package share: rows for Keras to reduce, a config, and one law.

N replicas compute what one does. Keras reduces the rows of each replica by itself, so means are
refused there.
"""

from typing import Any

import keras
import tensorflow as tf

from tfav import compat, registry
from tfav.ops import distributed, precision


class Loss(keras.losses.Loss):
    """A loss that gives one value per row of the batch, which Keras reduces.

    A subclass writes `rows`, and hands its constructor's arguments over as a dict.

    Args:
      arguments: Arguments of the subclass, which its config holds.
      reduction: How Keras reduces the rows, such as `sum_over_batch_size`, `sum` or `none`.
      name: Name of the loss.
      dtype: Type that the loss computes in; None means float32, or float64 under that Keras policy.
    """

    def __init__(
        self,
        arguments: dict[str, Any] | None = None,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ):
        self._own_dtype = dtype or precision.full_dtype()
        super().__init__(reduction=reduction, name=name, **compat.loss_dtype(self._own_dtype))
        self.arguments = arguments or {}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dtype": self._own_dtype, **self.arguments}

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each row, [B].

        Raises:
          UserError: `y_pred` has not the expected shape, or several replicas run and the reduction
            is a mean.
        """
        replicas = distributed.num_replicas()
        if replicas > 1 and self.reduction not in (None, "none", "sum"):
            raise registry.UserError(
                f"{type(self).__name__}(reduction={self.reduction!r}) runs on {replicas} replicas, "
                "of which Keras would average each one's rows: use one device, give "
                "reduction='sum', or train with tfav-train --strategy, whose N replicas compute "
                "what one does."
            )
        return self.rows(y_true, precision.full(y_pred))

    def rows(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of each row, [B]."""
        raise NotImplementedError

    def halves(self, y_pred: tf.Tensor, what: str) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the two halves of the last axis.

        Args:
          y_pred: Predictions [B, ..., 2 D].
          what: Noun of what a half is, for the error.

        Raises:
          UserError: The last axis has an odd size.
        """
        size = y_pred.shape[-1]
        if size is None or size % 2:
            raise registry.UserError(
                f"y_pred of {type(self).__name__} has {size} values along its last axis, which are "
                f"no two {what} of one size: give keras.layers.Concatenate()([audio, image])."
            )
        first, second = tf.split(y_pred, 2, axis=-1)
        return first, second


def labels(y_true: tf.Tensor) -> tf.Tensor:
    """Returns [B] int32 of [B] or [B, 1] in any type, which is what Keras makes of labels."""
    return tf.cast(tf.reshape(y_true, [-1]), tf.int32)
