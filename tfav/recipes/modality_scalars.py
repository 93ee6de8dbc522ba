"""What the log of a run tells of each of its modalities: how right, how heavy, how certain."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfav.losses import multimodal


def names(modalities: Sequence[str], scored: bool) -> list[str]:
    """Returns the names of `measure`, kind by kind."""
    kinds = ["accuracy", "share", "weight_norm", *(["score"] if scored else [])]
    return [f"{kind}_{m}" for kind in kinds for m in modalities]


def measure(
    logits: Mapping[str, tf.Tensor],
    label: tf.Tensor,
    weight_norms: Mapping[str, tf.Tensor],
    scored: bool,
) -> dict[str, tf.Tensor]:
    """Returns scalars [b] by name: accuracy, share of the decision, length of a class's weights.

    Args:
      logits: Logits [b, C] of each modality.
      label: Class of each row, [b] int.
      weight_norms: Mean length of a class's weights of each modality, [].
      scored: Whether `score_*` is there too, the posterior of the true class.
    """
    found = {}
    shares = multimodal.margin_shares(dict(logits), label)
    for m, z in logits.items():
        found[f"accuracy_{m}"] = hits(z, label)
        found[f"share_{m}"] = shares[m]
        found[f"weight_norm_{m}"] = weight_norms[m] * tf.ones_like(shares[m])
        if scored:
            found[f"score_{m}"] = tf.gather(tf.nn.softmax(z), label, axis=1, batch_dims=1)
    return found


def hits(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Returns 1 where the largest of the logits [b, C] is the row's class, else 0, [b]."""
    found = tf.equal(tf.argmax(logits, -1, tf.int32), tf.cast(label, tf.int32))
    return tf.cast(found, logits.dtype)
