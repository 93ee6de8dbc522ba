"""Terms beside a head that looks at several modalities at once, and measures of their balance."""

import tensorflow as tf

from tfav.ops import precision, sums


def agreement(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Returns `KL(p || q) + KL(q || p)` of two predictions, float32 [B].

    The second part of CCL (Chen et al., CVPR 2021), whose weight there is 0.5.

    Args:
      one: Logits [B, C] of one modality, `p = softmax(one)`.
      other: Logits [B, C] of another modality, `q = softmax(other)`.
    """
    log_p = tf.nn.log_softmax(precision.full(one))
    log_q = tf.nn.log_softmax(precision.full(other))
    return tf.reduce_sum((tf.exp(log_p) - tf.exp(log_q)) * (log_p - log_q), axis=1)


def margin_shares(logits: dict[str, tf.Tensor], label: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns how much of a decision each modality makes, float32 [B] each, summing to 1.

    `|d_m| / sum_k |d_k|` with the margin `d_m = z^m_y - mean_{j != y} z^m_j`; equal shares where
    all margins are zero. Absolute values, because the sum of margins of opposite signs can be 0.

    Args:
      logits: Logits [B, C] of each modality, whose sum is the fused logits.
      label: Class of each row, [B] int.
    """
    return shares({m: margin(z, label) for m, z in logits.items()})


def margin(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Returns by how much the logit of a row's class is above the mean of the others, [B].

    Args:
      logits: Logits [B, C].
      label: Class of each row, [B] int.
    """
    true = tf.gather(logits, label, axis=1, batch_dims=1)
    others = tf.reduce_sum(logits, axis=1) - true
    return true - others / tf.cast(tf.shape(logits)[1] - 1, logits.dtype)


def shares(signed: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns `margin_shares` of the margins [B] of each modality."""
    margins = {m: tf.abs(tf.stop_gradient(d)) for m, d in signed.items()}
    total = sums.in_order(list(margins.values()))
    equal = 1.0 / len(margins)
    return {
        m: tf.where(total > 0, tf.math.divide_no_nan(d, total), equal) for m, d in margins.items()
    }


def modulation(scores: tf.Tensor, alpha: float) -> tf.Tensor:
    """Returns OGM's factor of each modality's gradient, [n] (Peng et al., CVPR 2022, Eq. 10).

    `k_m = 1 - tanh(alpha * rho_m)` where the discrepancy ratio `rho_m > 1`, else 1: the modality
    that runs ahead is held back. Of two modalities `rho_a = s_a / s_v`; of more, the mean of
    `s_m / s_k` over the others, as the authors suggest (issue 16 of their repository).

    Args:
      scores: Sum or mean over the global batch of `softmax(z^m)_y` per modality, [n], n at least 2.
      alpha: Strength of the modulation, positive.
    """
    scores = tf.maximum(precision.full(scores), 1e-12)
    ratio = (scores * tf.reduce_sum(1.0 / scores) - 1.0) / (scores.shape[0] - 1)
    return tf.where(ratio > 1.0, 1.0 - tf.tanh(alpha * ratio), 1.0)
