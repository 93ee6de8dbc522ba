"""Logits of heads that look at several modalities at once."""

from collections.abc import Sequence

import tensorflow as tf

from tfav.ops import similarity


def cosine_logits(
    features: Sequence[tf.Tensor], weights: Sequence[tf.Tensor], scale: float
) -> list[tf.Tensor]:
    """Returns one [B, C] float32 of `scale * cos(w_j, x)` per modality (MMCosine, ICASSP 2023).

    Their sum is the fused logits, within `scale * len(features)` of zero. The released validation
    on CREMA-D reads the fused prediction from the raw classifier instead; we follow the text.

    Args:
      features: per modality [B, D_m]; a zero row gives zero logits.
      weights: per modality [C, D_m], the modality's columns of the classifier.
      scale: of each cosine, fixed.

    Raises:
      ValueError: no modality, or not one weight matrix per feature.
    """
    if not features or len(features) != len(weights):
        raise ValueError(
            f"{len(features)} features and {len(weights)} weight matrices: "
            "give one of each per modality"
        )
    return [scale * similarity.cosine_matrix(x, w) for x, w in zip(features, weights)]
