"""What a recipe answers to a batch, and the id of the space it answers in."""

import hashlib

import tensorflow as tf

from tfav import typing, weights
from tfav.recipes import base


def classifies(recipe: base.Recipe) -> bool:
    """Says whether a recipe has `logits` of what `features` returns."""
    return getattr(recipe, "logits", None) is not None


def classify(recipe: base.Recipe, batch: typing.Batch) -> dict[str, tf.Tensor]:
    """Returns what a recipe with `features` and `logits` says of a batch.

    Returns:
      `logits` and `probability` [B, C] of all modalities together, and `<modality>_logits` [B, C]
      of each, float32.
    """
    found = recipe.logits(recipe.features(batch, training=False))
    logits = {name: tf.cast(value, tf.float32) for name, value in found.items()}
    fused = logits.pop("fused")
    alone = {f"{modality}_logits": value for modality, value in logits.items()}
    return {"logits": fused, "probability": tf.nn.softmax(fused), **alone}


def embedding_space(recipe: base.Recipe) -> str:
    """Returns the id of the space that a recipe's encoders embed into: a hash of their weights.

    Embeddings can be compared when theirs is the same.
    """
    digest = hashlib.sha256()
    for name, variable in sorted(recipe.encoder_weights().items()):
        if variable.dtype.is_floating:  # no counters
            digest.update(f"{name} {variable.shape.as_list()}\n".encode())
            digest.update(variable.numpy().tobytes())
    return digest.hexdigest()[:16]


def head_weights(recipe: base.Recipe) -> list[tf.Variable]:
    """Returns the variables of the heads."""
    heads = sorted(recipe.heads.items())
    return [v for name, head in heads for v in weights.named_weights(head, name).values()]
