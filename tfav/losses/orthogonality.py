"""FOP's constraint: vectors of one identity agree, those of two are orthogonal."""

import tensorflow as tf

from tfav.ops import distributed, similarity


def orthogonality(x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Returns the rows' shares of the orthogonality term of FOP, float32 [b].

    `L_OC = 1 - mean cos(x_i, x_j) + |mean cos(x_i, x_k)|` over the pairs `i != j` of one label and
    the pairs of two labels in the global batch (Saeed et al., ICASSP 2022, who take it over from
    Ranasinghe et al., ICCV 2021). A mean over no pair is 1 in the first term, whose cost is then 0,
    and 0 in the second. The sum of the rows over the size of the global batch is `L_OC`.

    Args:
      x: Vectors [b, D] of any norm.
      label: Identity of each row, [b] int.
    """
    x, label = similarity.normalize(x), tf.convert_to_tensor(label)
    num_rows = tf.shape(x)[0]
    every, labels = distributed.gather(x), distributed.gather(label)
    total = tf.shape(every)[0]
    own = distributed.replica_id() * num_rows + tf.range(num_rows)
    same = tf.equal(labels[:, tf.newaxis], labels)
    other = tf.logical_not(same)
    same = tf.logical_and(same, tf.logical_not(tf.eye(total, dtype=tf.bool)))
    cosines = tf.matmul(x, every, transpose_b=True)

    def shares(pairs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns each row's part of the mean over all pairs, and how many there are."""
        count = tf.reduce_sum(tf.cast(pairs, x.dtype))
        sums = tf.reduce_sum(tf.where(tf.gather(pairs, own), cosines, 0.0), axis=1)
        return tf.cast(total, x.dtype) * tf.math.divide_no_nan(sums, count), count

    agreement, num_same = shares(same)
    leaning, _ = shares(other)
    side = tf.sign(tf.reduce_sum(distributed.gather(tf.stop_gradient(leaning))))
    near = tf.where(num_same > 0, 1.0 - agreement, tf.zeros_like(agreement))
    return near + side * leaning
