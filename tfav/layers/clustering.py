"""Soft clustering of a feature map's positions, unrolled, with gradient (DMC, Hu et al. 2019)."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import layer
from tfav.ops import distributed, precision

MODES = ("spherical", "euclidean")
# A sum of features shorter than this has no direction: of features of length 1 that cancel out it
# is what rounding leaves. Without the floor a silent clip would get gradients of 1e12.
SHORTEST = 1e-6
_MASKED = float(tf.float32.min) / 2


@keras.saving.register_keras_serializable("tfav")
class SoftClustering(layer.Layer):
    """Soft assignment of positions to cluster centres, by a fixed number of rounds, in float32.

    `spherical` (the supplement): each cluster sees the positions through a projection of its own,
    `u_pk = W_k u_p`. From `s_pk = 1 / K` on, each round sets `c_k = nrm(sum_p s_pk u_pk)` (Eq. 12)
    and then `s_pk = softmax_k(z <u_pk, c_k>)`. If all W_k were equal, s would stay 1 / K: the
    projections are what tells clusters apart.

    `euclidean` (the authors' later code): one projection `u_p = W u_p + b`, centres start at evenly
    spaced positions, each round sets `s_pk = softmax_k(-z |u_p - c_k|)` and then
    `c_k = sum_p s_pk u_p / sum_p s_pk`. Their z is 30, their rounds are 4.

    The centres are those of the last round; the assignments are those that follow from them, which
    is one reassignment more than the centres saw.

    Args:
      num_clusters: Number K of clusters.
      cluster_size: Size d of the space that positions are projected to.
      num_iterations: Number T of rounds, at least 1.
      sharpness: Factor z of the softmax, positive; 1 in the released code, where it does not
        appear.
      mode: Geometry of the clusters, `spherical` or `euclidean`.
      squash: Whether, as in the released code, each position before its projection and the last
        centres are shortened by `tanh(10 r) / r` and not brought to unit length; for `spherical`.
      seed: Random seed of the Glorot-uniform projections.
      name: Name of the layer.

    Raises:
      UserError: A value is outside its range, the mode is unknown, or `squash` stands with
        `euclidean`.
    """

    def __init__(
        self,
        num_clusters: int,
        cluster_size: int,
        num_iterations: int = 3,
        sharpness: float = 1.0,
        *,
        mode: str = "spherical",
        squash: bool = False,
        seed: int = 0,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype=precision.full_dtype(), autocast=False)
        counts = {
            "num_clusters": num_clusters,
            "cluster_size": cluster_size,
            "num_iterations": num_iterations,
        }
        self.remember(**counts, sharpness=sharpness, mode=mode, squash=squash, seed=seed)
        for field, value in counts.items():
            if value < 1:
                raise registry.UserError(f"{field}={value} of the clustering: give 1 or more.")
        if not 0 < sharpness < math.inf:
            raise registry.UserError(
                f"sharpness={sharpness} of the clustering must be positive: the default is 1."
            )
        if mode not in MODES:
            raise registry.UserError(f"mode={mode!r}: choose one of {', '.join(MODES)}.")
        if squash and mode != "spherical":
            raise registry.UserError(
                f"squash=True shortens the centres of mode='spherical': leave it out of {mode!r}."
            )
        self.num_clusters = num_clusters
        self.cluster_size = cluster_size
        self.num_iterations = num_iterations
        self.sharpness = sharpness
        self.mode = mode
        self.squash = squash
        self.seed = seed

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Creates `kernel`: [K, C, d], or [C, d] and `bias` [d] (`euclidean`)."""
        size, out = input_shape[-1], self.cluster_size
        limit = math.sqrt(6.0 / (size + out))  # Keras would take the clusters for pixels
        spherical = self.mode == "spherical"
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_clusters, size, out) if spherical else (size, out),
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=self.seed),
            trainable=True,
        )
        if not spherical:
            self.bias = self.add_weight(
                name="bias", shape=(out,), initializer="zeros", trainable=True
            )
        self.built = True

    def call(
        self, feature_map: tf.Tensor, valid: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the centres and the assignments.

        Args:
          feature_map: Features of the positions, [B, P, C] of any float dtype.
          valid: Mask [B, P], 0 where a position is padding and has no influence; None means that
            all positions count.

        Returns:
          centers: [B, K, d] float32; of unit length (`spherical` without `squash`), or zero where
            the features are zero or cancel out.
          assignments: [B, P, K] float32; their sum over K is 1, at padding 0.
        """
        features = precision.full(feature_map)
        if valid is None:
            valid = tf.ones(tf.shape(features)[:2])
        valid = tf.expand_dims(tf.cast(valid, features.dtype) > 0, 2)
        projected = self._project(tf.where(valid, features, 0.0))
        find = self._spherical if self.mode == "spherical" else self._euclidean
        centers, log_assignments = find(projected, valid)
        return centers, tf.where(valid, tf.exp(log_assignments), 0.0)

    def nearness(self, feature_map: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
        """Returns how near each position is to given centres, such as another modality's.

        Args:
          feature_map: Features of the positions, [B, P, C] of any float dtype.
          centers: Centres [B, K, d]; in mode `euclidean` any number of them.

        Returns:
          [B, P, K] float32: `<u_pk, c_k>`, or `-|u_p - c_k|` (`euclidean`).
        """
        projected = self._project(precision.full(feature_map))
        centers = precision.full(centers)
        if self.mode == "euclidean":
            return _minus_distances(projected, centers)
        return tf.transpose(_products(projected, centers), [0, 2, 1])

    def _project(self, features: tf.Tensor) -> tf.Tensor:
        """Returns [B, K, P, d], or [B, P, d] (`euclidean`), of [B, P, C]."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self.mode == "euclidean":
            return tf.matmul(features, kernel) + self.bias
        if self.squash:
            features = squash(features)
        # A cluster's positions lie beside each other: each round is one small product per cluster.
        return tf.einsum("bpc,kcd->bkpd", features, kernel)

    def _spherical(self, projected: tf.Tensor, valid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        valid = tf.transpose(valid, [0, 2, 1])
        log_share = tf.zeros(tf.shape(projected)[:3], projected.dtype) - math.log(self.num_clusters)
        for _ in range(self.num_iterations):
            # Only the direction counts, so the largest share of a cluster may be taken for 1: with
            # a large z all of a cluster's shares can be below what float32 holds.
            largest = tf.reduce_max(tf.where(valid, log_share, _MASKED), axis=2, keepdims=True)
            weight = tf.exp(log_share - tf.stop_gradient(largest))
            centers = direction(_sum(tf.where(valid, weight, 0.0), projected))
            last = log_share
            near = _products(projected, centers)
            log_share = tf.nn.log_softmax(self.sharpness * near, axis=1)
        if self.squash:
            centers = squash(_sum(tf.where(valid, tf.exp(last), 0.0), projected))
        return centers, tf.transpose(log_share, [0, 2, 1])

    def _euclidean(self, projected: tf.Tensor, valid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        centers = tf.gather(
            projected, evenly_spaced(valid, self.num_clusters), axis=1, batch_dims=1
        )
        for _ in range(self.num_iterations):
            log_share = tf.nn.log_softmax(self.sharpness * _minus_distances(projected, centers))
            # The softmax over positions is s / sum s, without a sum that could be nothing.
            weight = tf.nn.softmax(tf.where(valid, log_share, _MASKED), axis=1)
            centers = tf.matmul(weight, projected, transpose_a=True)
        return centers, tf.nn.log_softmax(self.sharpness * _minus_distances(projected, centers))


class MovingMean(tf.Module):
    """Moving mean of vectors over the steps of training, in which late steps count most.

    State, all of it in checkpoints: `total` and `count`, both discounted alike, so that the mean of
    the first few steps is unbiased too.

    Args:
      shape: Shape of the mean.
      momentum: Share of `total` and `count` that a step keeps.
      name: Name of the table.
    """

    def __init__(self, shape: tuple[int, ...], momentum: float = 0.99, name: str = "mean"):
        super().__init__(name=name)
        self.momentum = momentum
        # Every replica assigns the same gathered value, so the first one's is everybody's.
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        zeros = tf.zeros(shape, precision.full_dtype())
        self.total = tf.Variable(zeros, False, name="total", aggregation=first)
        self.count = tf.Variable(tf.zeros([], zeros.dtype), False, name="count", aggregation=first)

    def observe(self, rows: tf.Tensor) -> None:
        """Takes in the mean over the global batch of `rows` [b, ...] of this replica."""
        mean = tf.reduce_mean(distributed.gather(tf.stop_gradient(rows)), axis=0)
        self.total.assign(self.momentum * self.total + (1.0 - self.momentum) * mean)
        self.count.assign(self.momentum * self.count + (1.0 - self.momentum))

    def value(self) -> tf.Tensor:
        """Returns the mean, zeros before the first step."""
        return tf.math.divide_no_nan(tf.convert_to_tensor(self.total), self.count)


def _products(projected: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Returns `<u_pk, c_k>`, [B, K, P], of [B, K, P, d] and [B, K, d]."""
    return tf.squeeze(tf.matmul(projected, centers[..., tf.newaxis]), axis=3)


def _minus_distances(projected: tf.Tensor, centers: tf.Tensor) -> tf.Tensor:
    """Returns `-|u_p - c_k|`, [B, P, K], of [B, P, d] and [B, K, d]."""
    difference = tf.expand_dims(projected, 2) - tf.expand_dims(centers, 1)
    squared = tf.reduce_sum(tf.square(difference), axis=3)
    apart = squared > 0  # a centre starts on a position, where the root has no gradient
    return tf.where(apart, -tf.sqrt(tf.where(apart, squared, 1.0)), 0.0)


def _sum(weight: tf.Tensor, projected: tf.Tensor) -> tf.Tensor:
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


def evenly_spaced(valid: tf.Tensor, num_clusters: int) -> tf.Tensor:
    """Returns where centres start, [B, K] int32: at rank `floor(k n / K)` of n valid ones.

    Args:
      valid: Mask [B, P, 1] bool; a row without a valid position starts at its last one.
      num_clusters: Number K of centres; more than n of them share positions.
    """
    count = tf.cumsum(tf.cast(tf.squeeze(valid, 2), tf.int32), axis=1)
    rank = tf.range(num_clusters) * count[:, -1:] // num_clusters
    return tf.minimum(tf.searchsorted(count, rank + 1), tf.shape(count)[1] - 1)
