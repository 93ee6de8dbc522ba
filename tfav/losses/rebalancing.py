"""Formulas that balance modalities in training: of gradients, of features and of logits.

Where a paper is named, the formula is read from memory of the paper and its released code: neither
lay beside this project when it was written. `docs/methods.md` says so of each.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfav.ops import precision

_LEAST_SQUARE = 1e-12  # of a distance: its square root has no gradient at 0


def pareto(joint: tf.Tensor, alone: tf.Tensor, gamma: float) -> tf.Tensor:
    """Returns MMPareto's gradient of one encoder, [P] (Wei and Hu, ICML 2024).

    Where the two gradients do not conflict (cosine >= 0) it is their sum. Where they do, it is
    `2 a joint + 2 (1 - a) alone` with the share a of the shortest vector between them, which then
    conflicts with neither; what is shorter than the sum is brought to its length. In both cases
    times `gamma`.

    Args:
      joint: Gradient of the fused loss, [P].
      alone: Gradient of the encoder's own loss, [P].
      gamma: Factor of the result, at least 1: more noise, flatter minima.
    """
    difference = joint - alone
    share = tf.math.divide_no_nan(
        -tf.reduce_sum(difference * alone), tf.reduce_sum(tf.square(difference))
    )
    share = tf.where(tf.reduce_sum(joint * alone) < 0, tf.clip_by_value(share, 0.0, 1.0), 0.5)
    found = 2.0 * (share * joint + (1.0 - share) * alone)
    longer = tf.math.divide_no_nan(tf.norm(joint + alone), tf.norm(found))
    return gamma * tf.maximum(longer, 1.0) * found


def adaptive_factors(loss: tf.Tensor, usual: tf.Tensor, alpha: float) -> tf.Tensor:
    """Returns AGM's factor of each modality's gradient, [n] (Li et al., ICCV 2023).

    `k_m = exp(alpha * min(t_m - r_m, 10))` with `r_m = exp(mean_{k != m} (s_k - s_m))` of the
    losses of this step and t_m the same of the usual losses: who is further ahead than usual is
    held back, who is further behind is pushed.

    Args:
      loss: Mean cross-entropy s of each modality's share of the logits, [n], n at least 2.
      usual: The same as a mean over the steps so far, [n].
      alpha: Strength, positive.
    """
    return tf.exp(alpha * tf.minimum(_lead(usual) - _lead(loss), 10.0))


def _lead(loss: tf.Tensor) -> tf.Tensor:
    others = (tf.reduce_sum(loss) - loss) / (loss.shape[0] - 1)
    return tf.exp(others - loss)


def prototype_logits(features: tf.Tensor, prototypes: tf.Tensor) -> tf.Tensor:
    """Returns minus the Euclidean distance of each row to each prototype, [B, C].

    Args:
      features: Features [B, D] of one modality.
      prototypes: Mean features [C, D] of the classes.
    """
    features, prototypes = precision.full(features), precision.full(prototypes)
    square = tf.reduce_sum(tf.square(features), axis=1)[:, tf.newaxis]
    square += tf.reduce_sum(tf.square(prototypes), axis=1)
    square -= 2.0 * tf.matmul(features, prototypes, transpose_b=True)
    return -tf.sqrt(tf.maximum(square, _LEAST_SQUARE))


def rebalance(scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns PMR's weights of the prototype loss and of the entropy, [n] (Fan et al., CVPR 2023).

    `clip(max_k s_k / s_m - 1, 0, 1)`, 0 for the strongest modality, which the others are to catch
    up with; and `clip(s_m / min_k s_k - 1, 0, 1)`, 0 for the weakest, by which the others are kept
    from being sure too soon. Of two modalities these are the paper's.

    Args:
      scores: Mean posterior of the own class's prototype of each modality, [n].
    """
    scores = tf.maximum(scores, 1e-12)
    behind = tf.clip_by_value(tf.reduce_max(scores) / scores - 1.0, 0.0, 1.0)
    ahead = tf.clip_by_value(scores / tf.reduce_min(scores) - 1.0, 0.0, 1.0)
    return behind, ahead


def entropy(logits: tf.Tensor) -> tf.Tensor:
    """Returns the entropy of softmax(logits), [B] in nats.

    Args:
      logits: [B, C].
    """
    log_p = tf.nn.log_softmax(precision.full(logits))
    return -tf.reduce_sum(tf.exp(log_p) * log_p, axis=1)


def certainty(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns how much each modality counts for each row in MLA, [n, B], summing to 1.

    `exp(-e_m) / sum_k exp(-e_k)` with the entropy e of each modality's prediction (Zhang et al.,
    CVPR 2024).

    Args:
      logits: Logits [B, C] of each of the n modalities.
    """
    return tf.nn.softmax(-tf.stack([entropy(z) for z in logits]), axis=0)


def orthogonal_update(projection: tf.Tensor, mean: tf.Tensor, alpha: float) -> tf.Tensor:
    """Returns the projection [D, D] after one more direction, by recursive least squares (MLA).

    `P - P h h' P / (alpha + h' P h)`: gradients multiplied by it move the answers to vectors like
    h, which an earlier step has seen, hardly any more.

    Args:
      projection: P before, symmetric.
      mean: Mean feature h of that step, [D].
      alpha: Positive; the smaller, the more of h is taken away.
    """
    shadow = tf.linalg.matvec(projection, mean)
    return projection - shadow[:, tf.newaxis] * shadow / (alpha + tf.reduce_sum(mean * shadow))
