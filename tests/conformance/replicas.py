"""A batch on two replicas, and back."""

import numpy as np
import tensorflow as tf


def halves(strategy: tf.distribute.Strategy, x: np.ndarray) -> tf.distribute.DistributedValues:
    """Gives the first replica the first half of the rows, the second the other."""
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(x, 2)[context.replica_id_in_sync_group])
    )


def joined(strategy: tf.distribute.Strategy, value) -> np.ndarray:
    """Returns the rows of both replicas in order."""
    return np.concatenate([x.numpy() for x in strategy.experimental_local_results(value)])


def summed(strategy: tf.distribute.Strategy, value) -> np.ndarray:
    """Returns the sum over both replicas."""
    return np.sum([x.numpy() for x in strategy.experimental_local_results(value)], axis=0)
