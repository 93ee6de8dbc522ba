"""Dropout that a resumed run continues, and that N replicas draw as one."""

from typing import Any

import keras
import tensorflow as tf

from tfav.layers import layer
from tfav.ops import distributed


@keras.saving.register_keras_serializable("tfav")
class SeededDropout(layer.Layer):
    """Dropout whose mask depends on (seed, number of calls) and not on the number of replicas.

    The mask is drawn for the global batch and each replica takes its rows. Keras's own layer gives
    every replica the same mask and keeps its state out of checkpoints. Here `calls` counts the
    training calls and is a weight, so a resumed run continues with the masks that it would have
    drawn.

    Args:
      rate: Share of the values that are set to zero, in [0, 1).
      seed: Random seed of the masks.
      **kwargs: `name` and `dtype`, as for any Keras layer.
    """

    def __init__(self, rate: float, seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.remember(rate=rate, seed=seed, **kwargs)
        self.rate = rate
        self.seed = seed
        self.calls = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            name="calls",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    # A plain variable is a weight to Keras 2 and unknown to Keras 3, which would not save it.
    def save_own_variables(self, store: Any) -> None:
        """Puts the number of training calls into a `.keras` or `.weights.h5` file."""
        store["calls"] = self.calls.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Takes the number of training calls from such a file."""
        self.calls.assign(store["calls"][()])

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns `x` [b, ...], in training with values dropped and the rest over `1 - rate`."""
        if not training or self.rate == 0.0:
            return x
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.identity(self.calls)])
        self.calls.assign_add(1)
        rows = tf.shape(x)[0]
        shape = tf.concat([[rows * distributed.num_replicas()], tf.shape(x)[1:]], axis=0)
        first = rows * distributed.replica_id()
        draw = tf.random.stateless_uniform(shape, seed)[first : first + rows]
        keep = tf.cast(draw >= self.rate, x.dtype)
        return x * keep * tf.cast(1.0 / (1.0 - self.rate), x.dtype)
