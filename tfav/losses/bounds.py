"""What the supplement's theory says of a batch: curves to watch beside the losses, no gradient.

`tfav.theory` has the same in NumPy, for tests and for reading.
"""

import math

import tensorflow as tf

from tfav.losses import negatives
from tfav.ops import distributed


def implicit_floor(
    kernel: tf.Tensor,
    voice: tf.Tensor,
    face: tf.Tensor,
    label: tf.Tensor,
    weight: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns the floor of the implicit loss (Proposition 1; Corollary 1 with weights), float32 [].

    `2 ln M mean(s) - C / (M N) sum_j D_j` with `C = max_j |w_j|` and
    `D_j = |(M - 1) sum_{y_i = j} s_i (x_i + v_i) - sum_{y_i != j} s_i (x_i + v_i)|`. With the sum T
    over all rows and S_j over identity j that is `|M S_j - T|`: all M identities cost one pass,
    those absent from the batch included. It holds for a classifier without bias, logits
    `w_j . x_i`, whose loss is weighted row by row.

    Args:
      kernel: Class weights [M, D] as the logits see them.
      voice: Voice embeddings [b, D] as the logits see them.
      face: Face embeddings [b, D] as the logits see them.
      label: Identity of each row, [b] int.
      weight: Weight of each row, [b]; None means ones.
    """
    kernel, both = tf.stop_gradient(kernel), tf.stop_gradient(voice + face)
    weight = tf.ones_like(both[:, 0]) if weight is None else tf.stop_gradient(weight)
    weight, label = distributed.gather(weight), distributed.gather(label)
    weighted = weight[:, tf.newaxis] * distributed.gather(both)
    num_classes = kernel.shape[0]
    rows = tf.cast(tf.size(weight), weight.dtype)
    of_class = tf.math.unsorted_segment_sum(weighted, label, num_classes)
    distance = tf.norm(num_classes * of_class - tf.reduce_sum(weighted, axis=0), axis=1)
    largest = tf.reduce_max(tf.norm(kernel, axis=1))
    drop = largest / (num_classes * rows) * tf.reduce_sum(distance)
    return 2.0 * math.log(num_classes) * tf.reduce_mean(weight) - drop


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
    return 0.5 * tf.add_n([tf.nn.relu(top - own + (m - 1.0)) for top, own in pairs])
