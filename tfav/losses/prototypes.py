"""Prototypes without labels: the centres of clusters of the global batch, and what they teach."""

import tensorflow as tf

from tfav import registry
from tfav.losses import softmax
from tfav.ops import distributed, similarity, sums


def cluster(x: tf.Tensor, num_clusters: int, num_rounds: int = 4) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns centres [K, D] of unit length and the nearest one of each row, [N] int32.

    Spherical k-means from the first K rows on. A batch is in an order of its own each step, so that
    these are drawn, and a resumed run draws the same. A cluster that lost its rows keeps its place.

    Args:
      x: Vectors [N, D] of unit length, the same on every replica.
      num_clusters: Number K of clusters, from 2 to N.
      num_rounds: Number of times that the centres move.

    Raises:
      UserError: More clusters than rows, or fewer than 2.
    """
    rows = tf.get_static_value(tf.shape(x)[0])
    if num_clusters < 2 or (rows is not None and num_clusters > rows):
        raise registry.UserError(
            f"num_clusters={num_clusters} of a batch of {rows}: give 2 to the size of the batch."
        )
    x = tf.stop_gradient(x)
    centers = x[:num_clusters]

    def nearest() -> tf.Tensor:
        return tf.argmax(tf.matmul(x, centers, transpose_b=True), axis=1, output_type=tf.int32)

    for _ in range(num_rounds):
        member = tf.one_hot(nearest(), num_clusters, dtype=x.dtype)
        totals = tf.matmul(member, x, transpose_a=True)
        there = tf.reduce_sum(member, axis=0)[:, tf.newaxis] > 0
        centers = tf.where(there, similarity.normalize(totals), centers)
    return centers, nearest()


def prototype_contrast(
    audio: tf.Tensor,
    image: tf.Tensor,
    num_clusters: int,
    temperature: float = 0.1,
    num_rounds: int = 4,
) -> tf.Tensor:
    """Returns the cross-modal prototype contrast, mean of both directions, float32 [b].

    `l_i = -ln softmax_k(cos(a_i, p_k) / temperature)` at the cluster k of image i, `p` the centres
    of the images of the global batch; and the same of image i and the centres of the audio.

    Args:
      audio: Audio embeddings [b, D] of any norm; row i belongs to row i of the images.
      image: Image embeddings [b, D] of any norm.
      num_clusters: Number of clusters of each modality.
      temperature: Divisor of the cosines, positive.
      num_rounds: Number of rounds of k-means.

    Raises:
      UserError: `temperature` is not positive; see `cluster`.
    """
    if not temperature > 0:
        raise registry.UserError(
            f"temperature={temperature} of the prototype contrast must be positive: try 0.1."
        )
    audio, image = similarity.normalize(audio), similarity.normalize(image)
    rows = []
    for anchor, other in ((audio, image), (image, audio)):
        centers, member = cluster(distributed.gather(other), num_clusters, num_rounds)
        logits = tf.matmul(anchor, centers, transpose_b=True) / temperature
        rows.append(softmax.cross_entropy(logits, own_rows(member, tf.shape(anchor)[0])))
    return 0.5 * sums.in_order(rows)


def own_rows(x: tf.Tensor, num_rows: tf.Tensor) -> tf.Tensor:
    """Returns this replica's rows of what all replicas hold alike."""
    start = distributed.replica_id() * num_rows
    return x[start : start + num_rows]


def pseudo_labels(
    audio: tf.Tensor, image: tf.Tensor, num_clusters: int, num_rounds: int = 4
) -> tf.Tensor:
    """Returns the cluster of each row of this replica, by both of its embeddings: [b] int32.

    Args:
      audio: Audio embeddings [b, D] of any norm; row i belongs to row i of the images.
      image: Image embeddings [b, D] of any norm.
      num_clusters: Number of clusters.
      num_rounds: Number of rounds of k-means.

    Raises:
      UserError: See `cluster`.
    """
    both = tf.concat([similarity.normalize(audio), similarity.normalize(image)], axis=1)
    _, member = cluster(distributed.gather(similarity.normalize(both)), num_clusters, num_rounds)
    return own_rows(member, tf.shape(audio)[0])


def num_present(label: tf.Tensor, num_clusters: int) -> tf.Tensor:
    """Returns how many clusters have a row in the global batch, int32 []."""
    there = tf.reduce_any(tf.one_hot(distributed.gather(label), num_clusters, True, False), axis=0)
    return tf.reduce_sum(tf.cast(there, tf.int32))
