"""Soft clustering of a feature map's positions, unrolled, with gradient (DMC, Hu et al. 2019)."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import cluster_rounds, layer
from tfav.ops import precision

MODES = ("spherical", "euclidean", "capsule")


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

    `capsule` (Sabour et al., NIPS 2017; section 3 of the supplement says how it differs): a capsule
    per cluster, which sees the positions through a projection of its own. From `b_pk = 0` on, each
    round sets `s_pk = softmax_k(b_pk)`, shortens `sum_p s_pk u_pk` to a length below 1, which says
    how likely it is that something is there, and adds `z <u_pk, c_k>` to b_pk. In the paper the
    rounds are 3 and z is 1.

    The centres are those of the last round; the assignments are those that follow from them, which
    is one reassignment more than the centres saw.

    Args:
      num_clusters: Number K of clusters.
      cluster_size: Size d of the space that positions are projected to.
      num_iterations: Number T of rounds, at least 1.
      sharpness: Factor z of the softmax, positive; 1 in the released code, where it does not
        appear.
      mode: Geometry of the clusters: `spherical`, `euclidean` or `capsule`.
      squash: Whether, as in the released code, each position before its projection and the last
        centres are shortened by `tanh(10 r) / r` and not brought to unit length; for `spherical`.
      seed: Random seed of the Glorot-uniform projections.
      name: Name of the layer.

    Raises:
      UserError: A value is outside its range, the mode is unknown, or `squash` stands with another
        mode than `spherical`.
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
        one = self.mode == "euclidean"
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, out) if one else (self.num_clusters, size, out),
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=self.seed),
            trainable=True,
        )
        if one:
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
          centers: [B, K, d] float32; of unit length (`spherical` without `squash`), shorter than 1
            (`capsule`), or zero where the features are zero or cancel out.
          assignments: [B, P, K] float32; their sum over K is 1, at padding 0.
        """
        features = precision.full(feature_map)
        if valid is None:
            valid = tf.ones(tf.shape(features)[:2])
        valid = tf.expand_dims(tf.cast(valid, features.dtype) > 0, 2)
        projected = self._project(tf.where(valid, features, 0.0))
        rounds = self.num_iterations, self.sharpness
        if self.mode == "euclidean":
            found = cluster_rounds.euclidean(projected, valid, *rounds, self.num_clusters)
        elif self.mode == "capsule":
            found = cluster_rounds.capsule(projected, valid, *rounds)
        else:
            found = cluster_rounds.spherical(projected, valid, *rounds, self.squash)
        centers, log_assignments = found
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
            return cluster_rounds.minus_distances(projected, centers)
        return tf.transpose(cluster_rounds.products(projected, centers), [0, 2, 1])

    def _project(self, features: tf.Tensor) -> tf.Tensor:
        """Returns [B, K, P, d], or [B, P, d] (`euclidean`), of [B, P, C]."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self.mode == "euclidean":
            return tf.matmul(features, kernel) + self.bias
        if self.squash:
            features = cluster_rounds.squash(features)
        # A cluster's positions lie beside each other: each round is one small product per cluster.
        return tf.einsum("bpc,kcd->bkpd", features, kernel)
