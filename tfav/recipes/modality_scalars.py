"""What the log of a run tells of each of its modalities: how right, how heavy, how certain."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfav.losses import multimodal
from tfav.recipes import class_columns


def names(modalities: Sequence[str], scored: bool) -> list[str]:
    """Returns the names of `measure`, kind by kind."""
    kinds = ["accuracy", "share", "weight_norm", *(["score"] if scored else [])]
    return [f"{kind}_{m}" for kind in kinds for m in modalities]


def measure(
    logits: Mapping[str, tf.Tensor],
    columns: class_columns.Columns,
    weight_norms: Mapping[str, tf.Tensor],
    scored: bool,
) -> dict[str, tf.Tensor]:
    """Returns scalars [b] by name: accuracy, share of the decision, length of a class's weights.

    Args:
      logits: Logits of each modality.
      columns: Classes that they are of.
      weight_norms: Mean length of a class's weights of each modality, [].
      scored: Whether `score_*` is there too, the posterior of the true class.
    """
    found = {}
    shares = multimodal.shares({m: columns.margin(z) for m, z in logits.items()})
    for m, z in logits.items():
        found[f"accuracy_{m}"] = columns.hits(z)
        found[f"share_{m}"] = shares[m]
        found[f"weight_norm_{m}"] = columns.mean(weight_norms[m]) * tf.ones_like(shares[m])
        if scored:
            found[f"score_{m}"] = columns.posterior(z)
    return found
