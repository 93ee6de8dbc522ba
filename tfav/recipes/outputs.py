"""What a recipe answers to a batch, and the id of the space it answers in."""

import functools
import hashlib
from collections.abc import Callable

import tensorflow as tf

from tfav import tensors, weights
from tfav.recipes import recipe as base


def classifies(recipe: base.Recipe) -> bool:
    """Says whether a recipe has `logits` of what `features` returns."""
    return getattr(recipe, "logits", None) is not None


def localizes(recipe: base.Recipe) -> bool:
    """Says whether a recipe has `localize`."""
    return getattr(recipe, "localize", None) is not None


def clusters(recipe: base.Recipe) -> bool:
    """Says whether a recipe has `clusters`."""
    return getattr(recipe, "clusters", None) is not None


def joint(
    recipe: base.Recipe,
) -> dict[str, Callable[[tensors.Batch], dict[str, tf.Tensor]]]:
    """Returns what a recipe answers to rows of all its modalities, by the name of the signature."""
    found = {}
    if classifies(recipe):
        found["classify"] = functools.partial(classify, recipe)
    if localizes(recipe):
        found["localize"] = functools.partial(localize, recipe)
    return found


def classify(recipe: base.Recipe, batch: tensors.Batch) -> dict[str, tf.Tensor]:
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


def localize(recipe: base.Recipe, batch: tensors.Batch) -> dict[str, tf.Tensor]:
    """Returns where a recipe with `localize` says that the sounds of a batch come from.

    Returns:
      `map` [B, H', W'] float32 in [0, 1], of several frames [B, F, H', W'].
    """
    return {"map": tf.cast(recipe.localize(batch), tf.float32)}


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


def served_weights(recipe: base.Recipe) -> list[tf.Variable]:
    """Returns the variables that signatures may read.

    Those of the encoders; of the heads, where the recipe answers to rows; and of the tables, where
    it localises: a map may be told from the usual one.
    """
    found = list(recipe.encoder_weights().values())
    if joint(recipe):
        for name, head in sorted(recipe.heads.items()):
            found += weights.named_weights(head, name).values()
    if localizes(recipe):
        found += recipe.table_weights().values()
    return found
