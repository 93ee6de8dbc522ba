"""Cross-entropy over classes: the implicit loss of a shared classifier, one row at a time."""

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
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=label, logits=precision.full(logits)
    )
