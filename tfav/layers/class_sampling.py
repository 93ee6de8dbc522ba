"""A share of the classes per step: those of the batch, and a random part of the others.

This is partial softmax (Partial FC, An et al., CVPR 2022): a step with 10 % of a million classes
costs what a classifier of a hundred thousand does, in time and in memory of logits and gradients.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfav import compat, registry
from tfav.layers import layer
from tfav.ops import distributed


@keras.saving.register_keras_serializable("tfav")
class ClassSampler(layer.Layer):
    """Draws the classes of a step: a function of (seed, number of calls), the same on all replicas.

    `calls` counts the training calls and is a weight, so that a resumed run draws what it would
    have drawn. Every step takes `S = min(M, ceil(share * M) + B)` classes for a global batch of B
    rows: those of the batch, and of the others as many as are missing, each as likely as any other.
    S is the same in every step, because collectives want one shape of all steps. What a draw costs
    goes with S and not with M.

    Args:
      num_classes: Number M of classes, at least 2.
      share: Share of the classes that is drawn, above 0 and up to 1.
      seed: Random seed of the draws.
      name: Name of the layer.

    Raises:
      UserError: There are fewer than two classes, or the share is none.
    """

    def __init__(self, num_classes: int, share: float, *, seed: int = 0, name: str = "sampler"):
        super().__init__(name=name)
        if num_classes < 2 or not 0 < share <= 1:
            raise registry.UserError(
                f"sampled={share} of {num_classes} classes: give a share above 0 and up to 1, of "
                "two classes or more."
            )
        self.remember(num_classes=num_classes, share=share, seed=seed)
        self.num_classes = num_classes
        self.num_drawn = math.ceil(share * num_classes)
        self.seed = seed
        self.calls = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            name="calls",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    # A plain variable is a weight to Keras 2 and unknown to Keras 3, which would not save it.
    def save_own_variables(self, store: dict) -> None:
        """Puts the number of training calls into a `.keras` or `.weights.h5` file."""
        store["calls"] = self.calls.numpy()

    def load_own_variables(self, store: dict) -> None:
        """Takes the number of training calls from such a file."""
        self.calls.assign(store["calls"][()])

    def call(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the classes of this step, each once, and where among them each row's own is.

        Args:
          labels: Class of each row of this replica, [b] int.

        Returns:
          classes: [S] int64, those of the global batch first.
          column: Place of each row's class in `classes`, [b] int32.
        """
        own = tf.cast(distributed.gather(labels), tf.int64)
        batch_size = own.shape[0]
        if batch_size is None:
            count = tf.minimum(self.num_classes, self.num_drawn + tf.size(own))
        else:
            count = min(self.num_classes, self.num_drawn + batch_size)
        drawn = tf.random.experimental.index_shuffle(
            tf.range(count, dtype=tf.int64),
            seed=tf.stack([tf.constant(self.seed, tf.int64), tf.identity(self.calls)]),
            max_index=self.num_classes - 1,
        )
        self.calls.assign_add(1)
        # So many distinct ones are among them at least, the batch's first.
        classes, column = tf.unique(tf.concat([own, drawn], axis=0))
        classes = classes[:count]
        if batch_size is not None:
            classes = tf.ensure_shape(classes, [count])
        rows = tf.shape(labels)[0]
        first = rows * distributed.replica_id()
        return classes, column[first : first + rows]


def make(num_classes: int, share: float, seed: int) -> dict[str, keras.layers.Layer]:
    """Returns `sampler` by its name, or nothing where every step takes all classes.

    Args:
      num_classes: Number M of classes.
      share: Share of them that a step takes; 1: all.
      seed: Random seed of the draws.

    Raises:
      UserError: The share is none.
    """
    whole = share == 1.0 or num_classes < 2  # of too few classes the head says what is wrong
    return {} if whole else {"sampler": ClassSampler(num_classes, share, seed=seed)}


def sampled(heads: Mapping[str, Any]) -> list[str]:
    """Returns the names of the heads of which a step reads the weights of drawn classes alone."""
    return [name for name, head in heads.items() if "sampler" in heads and hasattr(head, "rows")]


def rows(kernel: Any, classes: tf.Tensor, sub_centers: int) -> tf.Tensor:
    """Returns the weights of some classes, [S * K, D], whose gradient knows of these rows alone.

    Args:
      kernel: Weights of all classes, [M * K, D], a Keras weight.
      classes: Classes, [S] int64, each once.
      sub_centers: Number K of centres per class, whose rows stand below each other.
    """
    if sub_centers > 1:
        centers = tf.range(sub_centers, dtype=classes.dtype)
        classes = tf.reshape(classes[:, tf.newaxis] * sub_centers + centers, [-1])
    return tf.gather(compat.local(kernel), classes)
