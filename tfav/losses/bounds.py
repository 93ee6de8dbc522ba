"""What the supplement's theory says of a batch: curves to watch beside the losses, no gradient.

`tfav.theory` has the same in NumPy, for tests and for reading.
"""

import tensorflow as tf

from tfav.losses import negatives
from tfav.ops import distributed, sums


def implicit_floor(
    largest_norm: tf.Tensor,
    num_classes: int | tf.Tensor,
    voice: tf.Tensor,
    face: tf.Tensor,
    label: tf.Tensor,
    weight: tf.Tensor | None = None,
    drop: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns the floor of the implicit loss (Proposition 1; Corollary 1 with weights), float32 [].

    `2 ln M mean(s) - C / (M N) sum_j D_j` with `C = max_j |w_j|` and
    `D_j = |(M - 1) sum_{y_i = j} s_i (x_i + v_i) - sum_{y_i != j} s_i (x_i + v_i)|`. With the sum T
    over all rows and S_j over identity j that is `|M S_j - T|`, and `|T|` for each identity that is
    absent from the batch: what it costs hangs on the batch and not on M. It holds for a classifier
    without bias, logits `w_j . x_i`, whose loss is weighted row by row. A margin lifts it, see
    `theory.implicit_floor`.

    Args:
      largest_norm: Largest length C of a class's weights as the logits see them, [].
      num_classes: Number M of classes that the logits are of: those that were drawn, where a step
        takes a share of them.
      voice: Voice embeddings [b, D] as the logits see them.
      face: Face embeddings [b, D] as the logits see them.
      label: Identity of each row, [b] int.
      weight: Weight of each row, [b]; None means ones.
      drop: What a margin takes off the logits of each row's own class, both modalities together,
        [b]; None means that there is none.
    """
    both = tf.stop_gradient(voice + face)
    weight = tf.ones_like(both[:, 0]) if weight is None else tf.stop_gradient(weight)
    lift = 0.0
    if drop is not None:
        lift = tf.reduce_mean(distributed.gather(weight * tf.stop_gradient(drop)))
    weight, label = distributed.gather(weight), distributed.gather(label)
    weighted = weight[:, tf.newaxis] * distributed.gather(both)
    total = tf.reduce_sum(weighted, axis=0)
    present, of_class = _sums_of_labels(weighted, label)
    num_classes = tf.cast(num_classes, weighted.dtype)
    distance = tf.norm(num_classes * of_class - total, axis=1)
    distances = tf.reduce_sum(tf.where(present, distance, 0.0))
    absent = num_classes - tf.math.count_nonzero(present, dtype=distance.dtype)
    distances += absent * tf.norm(total)
    share = tf.stop_gradient(largest_norm) / tf.cast(tf.size(weight), weight.dtype) / num_classes
    floor = 2.0 * tf.math.log(num_classes) * tf.reduce_mean(weight) - share * distances
    return floor + (num_classes - 1) / num_classes * lift


def _sums_of_labels(rows: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the sum of the rows of each label that occurs, as n sums of which not all are used.

    Args:
      rows: Rows [n, D].
      label: Label of each row, [n] int.

    Returns:
      used: Whether a sum belongs to a label, [n] bool.
      sums: [n, D], zero where it does not.
    """
    order = tf.argsort(label)
    label = tf.gather(label, order)
    first = tf.concat([[True], label[1:] != label[:-1]], axis=0)
    position = tf.cumsum(tf.cast(first, tf.int32)) - 1
    num_rows = tf.size(label)
    sums = tf.math.unsorted_segment_sum(tf.gather(rows, order), position, num_rows)
    return tf.range(num_rows) <= position[-1], sums


def explicit_hinge(
    voice: tf.Tensor, face: tf.Tensor, label: tf.Tensor, m: float = 5.4
) -> tf.Tensor:
    """Returns the hinge that Eq. 5 reads into the explicit loss, both directions' mean, [b].

    `[max_{j: y_j != y_i} a_ij + m - 1]_+`, with a_ij as in `alignment.explicit`. At m = 5.4 it does
    not approximate that loss: the gap reaches m - 1 where the hardest negative wins
    (`docs/theory.md`).

    Args:
      voice: Voice embeddings [b, D], not normalised.
      face: Face embeddings [b, D], not normalised.
      label: Identity of each row, [b] int.
      m: Saturation constant of the explicit loss.
    """
    sides = [negatives.by_cosine(tf.stop_gradient(x), label) for x in (voice, face)]
    pairs = zip(negatives.hardest(*sides), negatives.own(*sides))
    return 0.5 * sums.in_order([tf.nn.relu(top - own + (m - 1.0)) for top, own in pairs])
