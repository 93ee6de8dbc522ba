"""The rounds of soft clustering: from projected positions to centres and assignments, unrolled.

Each function is one mode of `clustering.SoftClustering`, which says what the modes are. They take
the projected positions [B, K, P, d] ([B, P, d] where there is one projection), which of them count,
the number T of rounds and the sharpness z, and return centres [B, K, d] and the logarithm of the
assignments [B, P, K].
"""

import math

import tensorflow as tf

# A sum of features shorter than this has no direction: of features of length 1 that cancel out it
# is what rounding leaves. Without the floor a silent clip would get gradients of 1e12.
SHORTEST = 1e-6
_MASKED = float(tf.float32.min) / 2


def spherical(
    projected: tf.Tensor,
    valid: tf.Tensor,
    num_iterations: int,
    sharpness: float,
    squashed: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns centres of unit length and log assignments (DMC's supplement, Eq. 12).

    Args:
      projected: Positions as each cluster sees them, [B, K, P, d].
      valid: Mask [B, P, 1] bool.
      num_iterations: Number T of rounds.
      sharpness: Factor z of the softmax.
      squashed: Whether the last centres are shortened by `squash` and not brought to unit length.
    """
    valid = tf.transpose(valid, [0, 2, 1])
    log_share = tf.zeros(tf.shape(projected)[:3], projected.dtype) - math.log(projected.shape[1])
    for _ in range(num_iterations):
        # Only the direction counts, so the largest share of a cluster may be taken for 1: with a
        # large z all of a cluster's shares can be below what float32 holds.
        largest = tf.reduce_max(tf.where(valid, log_share, _MASKED), axis=2, keepdims=True)
        weight = tf.exp(log_share - tf.stop_gradient(largest))
        centers = direction(weighted_sum(tf.where(valid, weight, 0.0), projected))
        last = log_share
        log_share = tf.nn.log_softmax(sharpness * products(projected, centers), axis=1)
    if squashed:
        centers = squash(weighted_sum(tf.where(valid, tf.exp(last), 0.0), projected))
    return centers, tf.transpose(log_share, [0, 2, 1])


def capsule(
    projected: tf.Tensor, valid: tf.Tensor, num_iterations: int, sharpness: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns capsules and log routing coefficients (dynamic routing, Sabour et al., NIPS 2017).

    From `b_pk = 0` on, each round sets `c_pk = softmax_k(b_pk)`, `v_k = shorten(sum_p c_pk u_pk)`
    and adds the agreement, `b_pk + z <u_pk, v_k>`.

    Args:
      projected: Predictions u_pk of each position for each capsule, [B, K, P, d].
      valid: Mask [B, P, 1] bool.
      num_iterations: Number T of rounds, 3 in the paper.
      sharpness: Factor z of the agreement, 1 in the paper.
    """
    valid = tf.transpose(valid, [0, 2, 1])
    agreement = tf.zeros(tf.shape(projected)[:3], projected.dtype)
    for _ in range(num_iterations):
        share = tf.where(valid, tf.nn.softmax(agreement, axis=1), 0.0)
        capsules = shorten(weighted_sum(share, projected))
        agreement += sharpness * products(projected, capsules)
    return capsules, tf.transpose(tf.nn.log_softmax(agreement, axis=1), [0, 2, 1])


def euclidean(
    projected: tf.Tensor,
    valid: tf.Tensor,
    num_iterations: int,
    sharpness: float,
    num_clusters: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns centres and log assignments of soft k-means (Simplified DMC).

    Args:
      projected: Positions [B, P, d].
      valid: Mask [B, P, 1] bool.
      num_iterations: Number T of rounds.
      sharpness: Factor z of the softmax.
      num_clusters: Number K of centres, which start at evenly spaced positions.
    """
    centers = tf.gather(projected, evenly_spaced(valid, num_clusters), axis=1, batch_dims=1)
    for _ in range(num_iterations):
        log_share = tf.nn.log_softmax(sharpness * minus_distances(projected, centers))
        # The softmax over positions is s / sum s, without a sum that could be nothing.
        weight = tf.nn.softmax(tf.where(valid, log_share, _MASKED), axis=1)
        centers = tf.matmul(weight, projected, transpose_a=True)
    return centers, tf.nn.log_softmax(sharpness * minus_distances(projected, centers))


def products(projected: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Returns `<u_pk, c_k>`, [B, K, P], of [B, K, P, d] and [B, K, d]."""
    return tf.squeeze(tf.matmul(projected, centers[..., tf.newaxis]), axis=3)


def minus_distances(projected: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Returns `-|u_p - c_k|`, [B, P, K], of [B, P, d] and [B, K, d]."""
    difference = tf.expand_dims(projected, 2) - tf.expand_dims(centers, 1)
    squared = tf.reduce_sum(tf.square(difference), axis=3)
    apart = squared > 0  # a centre starts on a position, where the root has no gradient
    return tf.where(apart, -tf.sqrt(tf.where(apart, squared, 1.0)), 0.0)


def weighted_sum(weight: tf.Tensor, projected: tf.Tensor) -> tf.Tensor:
    """Returns `sum_p s_pk u_pk`, [B, K, d], of [B, K, P] and [B, K, P, d]."""
    return tf.squeeze(tf.matmul(weight[:, :, tf.newaxis], projected), axis=2)


def direction(x: tf.Tensor) -> tf.Tensor:
    """Returns `x` [..., d] at unit length; zero, with zero gradient, below length `SHORTEST`."""
    squared = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)
    long = squared > SHORTEST**2
    return tf.where(long, x * tf.math.rsqrt(tf.where(long, squared, 1.0)), 0.0)


def squash(x: tf.Tensor) -> tf.Tensor:
    """Returns `x tanh(10 r) / r`, `r = sqrt(|x|^2 + 1e-7)`: nearly unit length from 0.3 on."""
    r = tf.sqrt(tf.reduce_sum(tf.square(x), axis=-1, keepdims=True) + 1e-7)
    return x * tf.tanh(10.0 * r) / r


def shorten(x: tf.Tensor) -> tf.Tensor:
    """Returns `|x|^2 / (1 + |x|^2) x / |x|` [..., d], shorter than 1: the squash of capsules.

    The length of a capsule says how likely it is that what it stands for is there. Zero stays zero,
    with zero gradient.
    """
    squared = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)
    there = squared > 0
    length = tf.sqrt(tf.where(there, squared, 1.0))
    return tf.where(there, x * length / (1.0 + squared), 0.0)


def evenly_spaced(valid: tf.Tensor, num_clusters: int) -> tf.Tensor:
    """Returns where centres start, [B, K] int32: at rank `floor(k n / K)` of n valid ones.

    Args:
      valid: Mask [B, P, 1] bool; a row without a valid position starts at its last one.
      num_clusters: Number K of centres; more than n of them share positions.
    """
    count = tf.cumsum(tf.cast(tf.squeeze(valid, 2), tf.int32), axis=1)
    rank = tf.range(num_clusters) * count[:, -1:] // num_clusters
    return tf.minimum(tf.searchsorted(count, rank + 1), tf.shape(count)[1] - 1)
