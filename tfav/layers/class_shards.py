"""A matrix of class weights spread over the replicas of a synchronous strategy.

Its variable is mirrored for TensorFlow, with a copy on every replica; but each copy holds other
classes, as many as the number of classes over that of replicas, rounded up. What moves a copy is a
kernel on that copy alone (`training.optimizers`), and slots are made after the variable, so that
they are spread too. Whoever saves, loads or reads the matrix takes it for one of [M * K, D].
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfav import compat
from tfav.ops import distributed


class Spread(tf.__internal__.tracking.Trackable):
    """One matrix whose rows lie on the replicas in turn, as whoever saves or loads weights sees it.

    A checkpoint holds it as it holds a variable of that shape, so that another number of replicas
    takes it up. The rows that fill up the last replicas are in no file.

    Args:
      variable: Mirrored variable of the strategy at hand, [R, D] on each of N replicas.
      num_rows: Number of rows of the matrix, at most N R.

    Attributes:
      shape: Shape of the matrix.
      dtype: its type.
      variable: that variable.
    """

    def __init__(self, variable: tf.Variable, num_rows: int):
        self._copies = compat.copies(variable)
        self.variable = variable
        self.shape = tf.TensorShape([num_rows, variable.shape[1]])
        self.dtype = variable.dtype

    def numpy(self) -> np.ndarray:
        """Returns the matrix."""
        return self._whole().numpy()

    def assign(self, value: Any) -> None:
        """Gives each replica its rows of a matrix, and zeros where there are no more."""
        with tf.device("CPU:0"):
            value = tf.ensure_shape(tf.cast(value, self.dtype), self.shape)
        size = self.variable.shape[0]
        for rank, copy in self._copies.items():
            rows = value[rank * size : (rank + 1) * size]
            copy.assign(tf.pad(rows, [[0, size - tf.shape(rows)[0]], [0, 0]]))

    def _whole(self) -> tf.Tensor:
        return whole(self.variable, self.shape[0])

    # What `tf.train.Checkpoint` asks of any object that is no variable.
    def _serialize_to_tensors(self) -> dict[str, tf.Tensor]:
        return {_KEY: self._whole()}

    def _restore_from_tensors(self, restored_tensors: Mapping[str, tf.Tensor]) -> None:
        self.assign(restored_tensors[_KEY])


_KEY = "VARIABLE_VALUE"  # the key of a variable


def add_kernel(
    layer: keras.layers.Layer,
    shape: tuple[int, int],
    initializer: Any,
    *,
    num_classes: int,
    sharded: bool,
) -> Any:
    """Returns a layer's new weight `kernel`, spread over the replicas of the strategy at hand.

    Args:
      layer: Layer that gets it.
      shape: Shape of the whole matrix, [M * K, D].
      initializer: of the whole matrix.
      num_classes: Number M of classes.
      sharded: False: every replica has all of it, as of any other weight.
    """
    num_replicas = tf.distribute.get_strategy().num_replicas_in_sync if sharded else 1
    its = {"name": "kernel", "trainable": True, "dtype": layer.compute_dtype}
    if num_replicas == 1:
        return layer.add_weight(shape=shape, initializer=initializer, **its)
    rows = math.ceil(num_classes / num_replicas) * (shape[0] // num_classes)
    kernel = layer.add_weight(shape=(rows, shape[1]), initializer="zeros", **its)
    with tf.device("CPU:0"):
        value = initializer(shape, layer.compute_dtype)
    Spread(compat.raw(kernel), shape[0]).assign(value)
    return kernel


def whole(kernel: Any, num_rows: int) -> tf.Tensor:
    """Returns a matrix of class weights outside of the replicas, [M * K, D].

    Args:
      kernel: Keras weight or variable, spread or not.
      num_rows: Number M * K of its rows.

    Raises:
      ValueError: called on one of several replicas, which has some of the rows alone; or several
        workers have them.
    """
    its = compat.raw(kernel)
    if its.shape[0] == num_rows:
        return tf.convert_to_tensor(kernel)
    if distributed.num_replicas() > 1:
        raise ValueError("a replica has its own classes' weights alone: read them outside of it")
    strategy = its.distribute_strategy
    with tf.device("CPU:0"):
        if len(its.values) == strategy.num_replicas_in_sync:
            return tf.concat(its.values, axis=0)[:num_rows]
        parts = strategy.run(lambda: tf.identity(its))
        return strategy.gather(parts, axis=0)[:num_rows]


def spread(heads: Mapping[str, Any]) -> list[str]:
    """Returns the names of the heads whose classes the replicas share."""
    return [name for name, head in heads.items() if getattr(head, "sharded", False)]
