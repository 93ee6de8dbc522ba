"""Where a sound comes from, told from clusters: how much each position of an image sounds."""

import tensorflow as tf

from tfav.layers import clustering
from tfav.losses import pairs


def agreement(
    layer: clustering.SoftClustering,
    features: tf.Tensor,
    assignments: tf.Tensor,
    audio: tf.Tensor,
    usual: tf.Tensor,
) -> tf.Tensor:
    """Returns `sum_k s_pk <u_pk, c^a_k - m_k>`, [B, P], in no fixed range.

    How much nearer a position is to the centres of this sound than to those of sounds in general,
    cluster by cluster as it is assigned. The loss trains such differences alone: without m, what
    agrees with every sound, the background, may be the hottest. `euclidean`: the distance to the
    mean less that to the nearest centre.

    Args:
      layer: that clusters the image.
      features: Image features u [B, P, C], as the layer takes them.
      assignments: Assignments s [B, P, K] of the positions.
      audio: Centres c^a [B, K, d] of the sound.
      usual: Moving mean m of such centres in training, [K, d]; `euclidean`: [1, d].
    """
    near = layer.nearness
    if layer.mode == "euclidean":
        usual = tf.repeat(usual[tf.newaxis], tf.shape(audio)[0], axis=0)
        own = tf.reduce_max(near(features, audio), axis=2)
        return own - tf.squeeze(near(features, usual), 2)
    return tf.reduce_sum(assignments * near(features, audio - usual), axis=2)


def assignment(mode: str, assignments: tf.Tensor, audio: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Returns `s_pk*` of the one cluster whose centres agree best, [B, P].

    `k* = argmax_k cos(c^a_k, c^v_k)`; `euclidean`: that comes nearest to a centre of the sound;
    `capsule`: `argmax_k <c^a_k, c^v_k>`.

    Args:
      mode: a row of `layers.clustering.MODES`.
      assignments: Assignments s [B, P, K] of the image's positions.
      audio: Centres c^a [B, K, d] of the sound.
      image: Centres c^v [B, K, d] of the image.
    """
    if mode == "euclidean":
        best = tf.argmin(pairs.cluster_distance(audio, image), axis=1)
    elif mode == "capsule":
        best = tf.argmax(tf.reduce_sum(audio * image, axis=2), axis=1)
    else:
        best = tf.argmax(pairs.cluster_similarity(audio, image), axis=1)
    return tf.gather(assignments, best, axis=2, batch_dims=1)


def confidence(heat: tf.Tensor) -> tf.Tensor:
    """Returns how sure each map is that something in the image sounds, [B].

    The mean of the hottest quarter of its positions, before a map is scaled to its own range: the
    rule of Mo and Morgado (NeurIPS 2022).

    Args:
      heat: How much each position sounds, [B, P].
    """
    quarter = tf.maximum(1, tf.shape(heat)[1] // 4)
    return tf.reduce_mean(tf.math.top_k(heat, quarter).values, axis=1)
