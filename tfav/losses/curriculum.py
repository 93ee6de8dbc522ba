"""PINs' contrastive loss, whose negative is as hard as training can bear (Nagrani et al., 2018)."""

import tensorflow as tf

from tfav import registry
from tfav.ops import distributed, similarity, sums

# The floor of a squared distance: the slope of a root has none at 0.
_LEAST_SQUARE = 1e-9
_BEYOND = 4.0  # above any cosine


def percentile(
    audio: tf.Tensor,
    image: tf.Tensor,
    label: tf.Tensor,
    margin: float = 0.6,
    hardness: float | tf.Tensor = 0.5,
) -> tf.Tensor:
    """Returns the contrastive loss against one negative of a given hardness, float32 [b].

    `l_i = 1/2 d(a_i, v_i)^2 + 1/2 [margin - d(a_i, v_n)]_+^2`, mean of both directions, `d` the
    distance of unit vectors. Of the N candidates with another label, the easiest first, n is number
    `floor(hardness (N - 1))`; without a candidate the second term is 0.

    Args:
      audio: Audio embeddings [b, D] of any norm.
      image: Image embeddings [b, D]; row i is the pair of row i of `audio`.
      label: Identity of each row, [b] int; rows of the same identity are no negatives.
      margin: Distance from which on a negative costs nothing, positive.
      hardness: Share of the negatives that are easier than the one that counts, in [0, 1].

    Raises:
      UserError: `margin` is not positive, or `hardness` no share.
    """
    if not margin > 0:
        raise registry.UserError(
            f"margin={margin} of the percentile loss must be positive: the default is 0.6."
        )
    if not tf.is_tensor(hardness) and not 0 <= hardness <= 1:
        raise registry.UserError(
            f"hardness={hardness} of the percentile loss is no share: give 0 (the easiest) to 1."
        )
    label = tf.convert_to_tensor(label)
    negative = tf.not_equal(label[:, tf.newaxis], distributed.gather(label))
    audio, image = similarity.normalize(audio), similarity.normalize(image)
    matched = tf.maximum(2.0 - 2.0 * tf.reduce_sum(audio * image, axis=1), 0.0)
    count = tf.reduce_sum(tf.cast(negative, audio.dtype), axis=1)
    place = tf.floor(tf.cast(hardness, audio.dtype) * (count - 1.0) + 1e-6)  # 0.3 * 10 is 3
    # Both directions below each other, so that each operation runs once; but for the sort, half of
    # the loss's time, of which two cores take a direction each.
    cosines = tf.concat(
        [
            tf.matmul(anchor, distributed.gather(other), transpose_b=True)
            for anchor, other in ((audio, image), (image, audio))
        ],
        axis=0,
    )
    negative, place, some = (tf.concat([x, x], axis=0) for x in (negative, place, count > 0))
    candidates = tf.where(negative, tf.stop_gradient(cosines), _BEYOND)
    order = tf.concat([tf.argsort(x, axis=1) for x in tf.split(candidates, 2)], axis=0)
    column = tf.gather(order, tf.cast(tf.maximum(place, 0.0), tf.int32), axis=1, batch_dims=1)
    # A sum with zeros, whose gradient is a product; that of a gather is fifteen operations.
    chosen = tf.reduce_sum(
        cosines * tf.one_hot(column, tf.shape(cosines)[1], dtype=cosines.dtype), axis=1
    )
    square = tf.maximum(2.0 - 2.0 * chosen, _LEAST_SQUARE)
    cost = tf.where(some, tf.square(tf.nn.relu(margin - tf.sqrt(square))), 0.0)
    return 0.5 * (matched + 0.5 * sums.in_order(tf.split(cost, 2)))
