"""Losses over classes, one row at a time: of a label, and of what a teacher says."""

from typing import Any

import tensorflow as tf

from tfav.ops import precision


def cross_entropy(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Returns the implicit loss `lse_j(z_ij) - z_{i, y_i}` of every row, float32 [B].

    The rows are never averaged here: the released code averages before it multiplies with the
    identity weights, so that its weights cannot tell one row from another.

    Args:
      logits: Logits [B, C] of any float dtype; the loss is computed in float32.
      label: Class of each row, [B] int in 0..C-1.
    """
    return _cross_entropy(precision.full(logits), tf.convert_to_tensor(label))


def distillation(logits: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns `KL(p || q)` of every row, float32 [B] (SoundNet, Aytar et al., NIPS 2016).

    Args:
      logits: Logits [B, C] of the student, `q = softmax(logits)`.
      teacher: Logits [B, C] of the teacher, `p = softmax(teacher)`, which get no gradient.
    """
    log_p = tf.nn.log_softmax(tf.stop_gradient(precision.full(teacher)))
    log_q = tf.nn.log_softmax(precision.full(logits))
    return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=1)


@tf.custom_gradient
def _cross_entropy(logits: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, Any]:
    # TensorFlow's own op for this takes seven times as long on a processor as its softmax, whose
    # largest entry is one over the sum that it divides by.
    posterior = tf.nn.softmax(logits)
    total = tf.reduce_max(logits, axis=1) - tf.math.log(tf.reduce_max(posterior, axis=1))
    rows = total - tf.gather(logits, label, axis=1, batch_dims=1)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        index = tf.stack([tf.range(tf.size(label), dtype=label.dtype), label], axis=1)
        by_logit = posterior * upstream[:, tf.newaxis]
        return tf.tensor_scatter_nd_sub(by_logit, index, upstream), None

    return rows, gradient
