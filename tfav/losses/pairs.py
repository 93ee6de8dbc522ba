"""Losses of audio and images that belong together or not, without labels: DMC, L3, InfoNCE.

Row i is a matched pair; a mismatched one has the audio of another row of the global batch. Losses
are one value per row of this replica; the caller sums them and divides by the global batch's size.
"""

from collections.abc import Callable

import tensorflow as tf

from tfav import registry
from tfav.losses import softmax
from tfav.ops import distributed, precision, similarity, sums

NEGATIVES = ("derangement", "all")


def derangement(num_rows: tf.Tensor | int, seed: tf.Tensor) -> tf.Tensor:
    """Returns another row for each row, no two the same: [num_rows] int32.

    It is a cycle through all rows, drawn uniformly: each other row is equally likely.

    Args:
      num_rows: Number of rows, at least 2.
      seed: Random seed of the draw, [2] int, which alone decides it.
    """
    order = tf.random.experimental.stateless_shuffle(tf.range(num_rows), seed)
    return tf.scatter_nd(order[:, tf.newaxis], tf.roll(order, -1, axis=0), tf.shape(order))


def mismatches(
    num_rows: tf.Tensor | int, negatives: str = "derangement", seed: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns which rows of the global batch do not belong to each row: [b, M] int32.

    Args:
      num_rows: Number b of rows of this replica.
      negatives: Kind of mismatches: `derangement`, one other row drawn by `seed`; or `all`, each of
        the other rows.
      seed: Random seed of the draw, [2] int, the same on every replica; None means [0, 0].

    Raises:
      UserError: `negatives` is unknown, or the batch has one row.
      InvalidArgumentError: The batch has one row, and its size is known to the graph only.
    """
    if negatives not in NEGATIVES:
        raise registry.UserError(f"negatives={negatives!r}: choose one of {', '.join(NEGATIVES)}.")
    total, own = num_rows * distributed.num_replicas(), _own(num_rows)
    if negatives == "all":
        return (own[:, tf.newaxis] + tf.range(1, total)) % total
    other = derangement(total, tf.zeros([2], tf.int32) if seed is None else seed)
    return tf.gather(other, own)[:, tf.newaxis]


def _own(num_rows: tf.Tensor | int) -> tf.Tensor:
    """Returns the places in the global batch of this replica's rows, [b], checked to be several."""
    total = num_rows * distributed.num_replicas()
    alone = "a batch of one pair has no mismatch: give --config.train.batch_size=2 or more."
    if tf.get_static_value(total) == 1:
        raise registry.UserError(alone)
    check = tf.debugging.assert_greater(total, 1, message=alone)
    with tf.control_dependencies([] if check is None else [check]):
        return distributed.replica_id() * num_rows + tf.range(num_rows)


def compare(
    audio: tf.Tensor,
    image: tf.Tensor,
    score: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    negatives: str = "derangement",
    seed: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the scores of the matched pair of each row, [b], and of its mismatched ones, [b, M].

    Args:
      audio: Audio representations of this replica, [b, ...].
      image: Image representations of this replica, [b, ...].
      score: Function of audio [N, ...] and image [b, ...] to scores [N, b].
      negatives: Kind of mismatches, see `mismatches`.
      seed: Random seed of the mismatches, see there.
    """
    num_rows = image.shape[0] or tf.shape(image)[0]
    other = mismatches(num_rows, negatives, seed)
    scores = tf.transpose(score(distributed.gather(audio), image))
    own = distributed.replica_id() * num_rows + tf.range(num_rows)
    matched = tf.gather(scores, own, axis=1, batch_dims=1)
    return matched, tf.gather(scores, other, axis=1, batch_dims=1)


def pair_similarity(audio_centers: tf.Tensor, image_centers: tf.Tensor) -> tf.Tensor:
    """Returns `S = sum_k cos(c^a_k, c^v_k)` of all pairs, float32 [B, N], in [-K, K] (DMC).

    Args:
      audio_centers: Audio centres [B, K, d]; a zero centre adds nothing.
      image_centers: Image centres [N, K, d].
    """
    audio, image = similarity.normalize(audio_centers), similarity.normalize(image_centers)
    return tf.einsum("bkd,nkd->bn", audio, image)


def capsule_agreement(audio_capsules: tf.Tensor, image_capsules: tf.Tensor) -> tf.Tensor:
    """Returns `S = sum_k <c^a_k, c^v_k>` of all pairs, float32 [B, N], in (-K, K).

    A capsule that is short in one of the two says that its thing is not there, and adds little.

    Args:
      audio_capsules: Audio capsules [B, K, d], shorter than 1.
      image_capsules: Image capsules [N, K, d].
    """
    audio, image = precision.full(audio_capsules), precision.full(image_capsules)
    return tf.einsum("bkd,nkd->bn", audio, image)


def cluster_similarity(audio_centers: tf.Tensor, image_centers: tf.Tensor) -> tf.Tensor:
    """Returns `cos(c^a_k, c^v_k)` of each row's own pair, float32 [B, K], of twice [B, K, d]."""
    audio, image = similarity.normalize(audio_centers), similarity.normalize(image_centers)
    return tf.reduce_sum(audio * image, axis=2)


def pair_distance(audio_centers: tf.Tensor, image_centers: tf.Tensor) -> tf.Tensor:
    """Returns `D^2 = sum_a min_v |c^a - c^v|^2` of all pairs, float32 [B, N] (Simplified DMC).

    Args:
      audio_centers: Audio centres [B, K_a, d].
      image_centers: Image centres [N, K_v, d].
    """
    return tf.reduce_sum(tf.reduce_min(_squared_distances(audio_centers, image_centers), 3), 1)


def cluster_distance(audio_centers: tf.Tensor, image_centers: tf.Tensor) -> tf.Tensor:
    """Returns `min_a |c^a - c^v_k|^2` within each row, [B, K_v], of [B, K_a, d] and [B, K_v, d]."""
    audio = tf.expand_dims(precision.full(audio_centers), 2)
    image = tf.expand_dims(precision.full(image_centers), 1)
    return tf.reduce_min(tf.reduce_sum(tf.square(audio - image), axis=3), axis=1)


def _squared_distances(audio_centers: tf.Tensor, image_centers: tf.Tensor) -> tf.Tensor:
    """Returns [B, K_a, N, K_v]."""
    audio, image = precision.full(audio_centers), precision.full(image_centers)
    lengths = tf.reduce_sum(tf.square(audio), axis=2)[:, :, tf.newaxis, tf.newaxis]
    lengths += tf.reduce_sum(tf.square(image), axis=2)
    return tf.maximum(lengths - 2.0 * tf.einsum("bkd,nld->bknl", audio, image), 0.0)


def hinge(matched: tf.Tensor, mismatched: tf.Tensor, margin: float) -> tf.Tensor:
    """Returns the mean over mismatches of `[margin + S(mismatched) - S(matched)]_+`, float32 [b].

    Args:
      matched: Similarity of the matched pair of each row, [b].
      mismatched: Similarities of the mismatched pairs, [b, M].
      margin: Margin between them, at least 0.
    """
    return tf.reduce_mean(tf.nn.relu(margin + mismatched - matched[:, tf.newaxis]), axis=1)


def contrast(matched: tf.Tensor, mismatched: tf.Tensor, margin: float) -> tf.Tensor:
    """Returns `0.5 D^2 + 0.5 mean [margin - sqrt(D^2 + 1e-9)]_+^2`, float32 [b] (Simplified DMC).

    Args:
      matched: Squared distance D^2 of the matched pair of each row, [b], of the first term.
      mismatched: Squared distances of the mismatched pairs, [b, M], of the second term, which is a
        mean over M.
      margin: Distance from which on mismatched pairs cost nothing.
    """
    near = tf.nn.relu(margin - tf.sqrt(mismatched + 1e-9))
    return 0.5 * (matched + tf.reduce_mean(tf.square(near), axis=1))


def correspondence(matched: tf.Tensor, mismatched: tf.Tensor) -> tf.Tensor:
    """Returns L3's binary cross-entropy, matched and mismatched pairs alike, float32 [b].

    A model that knows nothing has ln 2 (Arandjelovic and Zisserman, ICCV 2017).

    Args:
      matched: Logit of "these belong together" of the matched pair of each row, [b].
      mismatched: Logits of the mismatched pairs, [b, M].
    """
    return 0.5 * (tf.nn.softplus(-matched) + tf.reduce_mean(tf.nn.softplus(mismatched), axis=1))


def info_nce(audio: tf.Tensor, image: tf.Tensor, scale: tf.Tensor | float) -> tf.Tensor:
    """Returns InfoNCE in both directions, their mean, float32 [b] (van den Oord et al., 2018).

    `l_i = 1/2 (lse_j(s c_ij) - s c_ii) + 1/2 (lse_j(s c_ji) - s c_ii)` with the cosine `c_ij` of
    audio i and image j, j over the global batch. A model that knows nothing has ln N.

    Args:
      audio: Audio embeddings [b, D] of any norm; row i belongs to row i of the images.
      image: Image embeddings [b, D] of any norm.
      scale: Factor s of the cosines, one over the temperature, [].

    Raises:
      UserError: The batch has one row.
    """
    audio, image = similarity.normalize(audio), similarity.normalize(image)
    own = _own(image.shape[0] or tf.shape(image)[0])
    rows = [
        softmax.cross_entropy(
            tf.matmul(scale * one, distributed.gather(other), transpose_b=True), own
        )
        for one, other in ((audio, image), (image, audio))
    ]
    return 0.5 * sums.in_order(rows)


def max_margin(
    audio_centers: tf.Tensor,
    image_centers: tf.Tensor,
    margin: float,
    negatives: str = "derangement",
    seed: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns DMC's loss `[margin + S(a_n(i), v_i) - S(a_i, v_i)]_+`, float32 [b].

    Args:
      audio_centers: Audio centres [b, K, d].
      image_centers: Image centres [b, K, d]; row i belongs to row i of the audio.
      margin: Margin between similarities; K in the released code, with which the loss of a row is
        zero only at S = K and S = 0.
      negatives: Kind of mismatches: `derangement`, the released code's, or `all`, a mean over the
        global batch.
      seed: Random seed of the derangement, [2] int, the same on every replica.

    Raises:
      UserError: `negatives` is unknown, or the batch has one row.
    """
    pairs = compare(audio_centers, image_centers, pair_similarity, negatives, seed)
    return hinge(*pairs, margin)


def cluster_contrastive(
    audio_centers: tf.Tensor,
    image_centers: tf.Tensor,
    margin: float = 5.0,
    negatives: str = "derangement",
    seed: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns Simplified DMC's loss (`contrast` of `pair_distance`), float32 [b].

    Args:
      audio_centers: Audio centres [b, K_a, d].
      image_centers: Image centres [b, K_v, d]; row i belongs to row i of the audio.
      margin: Distance from which on mismatched pairs cost nothing; 5 is the authors'.
      negatives: Kind of mismatches, see `max_margin`.
      seed: Random seed of the derangement, see there.

    Raises:
      UserError: `negatives` is unknown, or the batch has one row.
    """
    return contrast(*compare(audio_centers, image_centers, pair_distance, negatives, seed), margin)
