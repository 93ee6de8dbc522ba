"""DMC's clustering layer, value and gradient of its centres, against its projection alone.

The floor is the three products of the projection: B P x C with C x K d, and of its gradient the
product with the features and with the projections. Its modes stand against each other too.
"""

from collections.abc import Callable

import tensorflow as tf

from benchmarks import gradients, memory, timing
from tfav import compat
from tfav.layers import clustering

CLUSTERS, CLUSTER_SIZE, ROUNDS, POSITIONS, CHANNELS = 10, 16, 3, 256, 512


def rows() -> list[timing.Row]:
    """Returns the rows of the paper's sizes."""
    batch = 64
    largest = batch * POSITIONS * CLUSTERS * CHANNELS * 4 / 2**20
    peaks = {f.__name__: memory.peak_mb(f, batch, warm=1) for f in (ours, released)}
    said = ", ".join(f"{name} {peak:.0f} MB" for name, peak in peaks.items())
    return [
        timing.row(
            "clustering layer, value and gradient",
            f"B = {batch}, P = {POSITIONS}, K = {CLUSTERS}, d = {CLUSTER_SIZE}, T = {ROUNDS}",
            ours(batch),
            {"three products of the projection": floor(batch), "released": released(batch)},
            {"three products of the projection": 2.0},
            f"peak: {said}; B x P x K x C would be {largest:.0f} MB",
        ),
        timing.row(
            "spherical clusters, value and gradient, against the other modes",
            f"B = {batch}, P = {POSITIONS}, K = {CLUSTERS}, d = {CLUSTER_SIZE}, T = {ROUNDS}",
            ours(batch),
            {mode: ours(batch, mode) for mode in clustering.MODES if mode != "spherical"},
            {},
            "the Euclidean mode has one projection, the others one per cluster",
        ),
    ]


def scales() -> list[timing.Scale]:
    """Returns how time grows with the batch."""
    calls = {batch: ours(batch) for batch in (1, 4, 16, 64, 128)}
    return [timing.scale("clustering layer, value and gradient", "rows of a batch", calls, 1.0)]


def ours(batch: int, mode: str = "spherical") -> Callable[[], object]:
    """Returns a call of our layer."""
    features = gradients.normal(batch, POSITIONS, CHANNELS)
    layer = clustering.SoftClustering(CLUSTERS, CLUSTER_SIZE, ROUNDS, mode=mode)
    layer.build(features.shape)

    def loss(features: tf.Tensor, kernel: tf.Variable, target: tf.Tensor) -> tf.Tensor:
        del kernel  # the layer reads it
        return tf.reduce_sum(target * layer(features)[0], axis=[1, 2])

    return gradients.call(loss, [features, compat.raw(layer.kernel)], _target(batch))


def floor(batch: int) -> Callable[[], object]:
    """Returns a call of the bare products."""
    return gradients.products([(batch * POSITIONS, CLUSTERS * CLUSTER_SIZE, CHANNELS)])


def released(batch: int) -> Callable[[], object]:
    """Returns a call of the released code's form: every cluster has a copy of all features."""

    def loss(features: tf.Tensor, kernel: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        copies = tf.tile(features[:, tf.newaxis], [1, CLUSTERS, 1, 1])
        projected = tf.transpose(tf.matmul(copies, kernel), [0, 2, 1, 3])
        share = tf.ones_like(projected[..., 0]) / CLUSTERS
        for _ in range(ROUNDS):
            total = tf.reduce_sum(share[..., tf.newaxis] * projected, axis=1)
            centers = tf.math.l2_normalize(total, axis=2)
            share = tf.nn.softmax(tf.reduce_sum(projected * centers[:, tf.newaxis], axis=3))
        return tf.reduce_sum(target * centers, axis=[1, 2])

    inputs = [
        gradients.normal(batch, POSITIONS, CHANNELS),
        0.1 * gradients.normal(CLUSTERS, CHANNELS, CLUSTER_SIZE, seed=1),
    ]
    return gradients.call(loss, inputs, _target(batch))


def _target(batch: int) -> tf.Tensor:
    return gradients.normal(batch, CLUSTERS, CLUSTER_SIZE, seed=2)
