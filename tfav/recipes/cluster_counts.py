"""How many clusters each modality has, and how many of them are used."""

from collections.abc import Mapping

import tensorflow as tf

from tfav import registry
from tfav.ops import distributed
from tfav.recipes import paired


def of_modalities(num_clusters: int | Mapping[str, int], one: bool) -> dict[str, int]:
    """Returns K of each modality; `one`: it must be the same."""
    if not isinstance(num_clusters, Mapping):
        return dict.fromkeys(paired.MODALITIES, num_clusters)
    counts = dict(num_clusters)
    if set(counts) != set(paired.MODALITIES) or (one and len(set(counts.values())) > 1):
        raise registry.UserError(
            f"num_clusters={counts}: give one number; or, for mode='euclidean' without shared "
            "projections, {'audio': K, 'image': K}."
        )
    return counts


def usage(assignments: tf.Tensor) -> tf.Tensor:
    """Returns the share of the global batch's positions that each cluster has, [K], no gradient."""
    total = distributed.gather(tf.reduce_sum(tf.stop_gradient(assignments), axis=1))
    return tf.reduce_sum(total, axis=0) / tf.reduce_sum(total)


def used(share: tf.Tensor, num_clusters: int) -> dict[str, tf.Tensor]:
    """Returns how evenly the global batch's positions use K clusters, numbers [].

    `usage_entropy`: of the share that each cluster has, in nats, ln K at most. `dead_clusters`: how
    many have less than a tenth of 1 / K.

    Args:
      share: see `usage`.
      num_clusters: K.
    """
    dead = tf.cast(share < 0.1 / num_clusters, share.dtype)
    entropy = -tf.reduce_sum(tf.math.xlogy(share, share))
    return {"usage_entropy": entropy, "dead_clusters": tf.reduce_sum(dead)}
