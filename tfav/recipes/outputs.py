"""What a recipe answers to a batch, and the id of the space it answers in."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import tensorflow as tf

from tfav import hearing as hearing_lib
from tfav import items, registry, tensors, weights
from tfav.ops import clips, similarity
from tfav.recipes import abilities
from tfav.recipes import recipe as base

if TYPE_CHECKING:
    from typing_extensions import TypeIs


def item_specs(
    recipe: base.Recipe, num_frames: Mapping[str, int] | None = None
) -> dict[str, items.ItemSpec]:
    """Returns what one item of each modality of a recipe is, modalities sorted.

    Args:
      recipe: whose encoders.
      num_frames: modality of images to their frames; one where left out.
    """
    frames = num_frames or {}
    found = {}
    for m, encoder in sorted(recipe.encoders.items()):
        spec = encoder.item_spec.of(m, frames.get(m, 1))
        found[m] = dataclasses.replace(spec, vector_space=recipe.vector_spaces.get(m, ""))
    return found


def hear(recipe: base.Recipe, batch: tensors.Batch) -> dict[str, tf.Tensor]:
    """Returns a batch whose clips hold what the recipe hears of them, see `hearing.Hearing`.

    What has been cut and repeated already stays as it is.
    """
    found = dict(batch)
    for modality in recipe.encoders.keys() & batch.keys():
        spec = recipe.encoders[modality].item_spec
        if spec.clip:
            waveform = tf.convert_to_tensor(batch[modality])
            num_samples = batch.get(spec.length)
            if num_samples is None:
                num_samples = tf.fill(tf.shape(waveform)[:1], tf.shape(waveform)[1])
            heard = clips.heard(waveform, tf.cast(num_samples, tf.int32), recipe.hearing)
            found |= dict(zip((modality, spec.length), heard))
    return found


def embedding(recipe: base.Recipe, modality: str, batch: tensors.Batch) -> tf.Tensor:
    """Returns the embeddings [B, D] float32 of unit norm of one modality of a batch.

    This is the embedding of a file, whoever asks for it: clips are cut, repeated and windowed as
    `recipe.hearing` says.
    """
    batch = hear(recipe, batch)
    window, spec = recipe.hearing.window_samples, recipe.encoders[modality].item_spec
    if not window or not spec.clip:
        return _unit(recipe, modality, batch)
    parts, sound, clip = clips.windows(batch[modality], batch[spec.length], window)
    vectors = _unit(recipe, modality, {modality: parts, spec.length: sound})
    weighted = vectors * tf.cast(sound, vectors.dtype)[:, tf.newaxis]
    return similarity.normalize(tf.math.segment_sum(weighted, clip))


def _unit(recipe: base.Recipe, modality: str, batch: tensors.Batch) -> tf.Tensor:
    return similarity.normalize(recipe.embed(modality, batch, training=False))


def check_hearing(recipe: base.Recipe) -> None:
    """Refuses windows for a recipe whose answers are not embeddings.

    Raises:
      UserError: that.
    """
    if recipe.hearing.window_seconds and (joint(recipe) or not recipe.shares_space):
        raise registry.UserError(
            f"--config.eval.window_seconds={recipe.hearing.window_seconds:g}: the embeddings of "
            f"windows are averaged, and {type(recipe).__name__} is not used by its embeddings "
            "alone: set it to 0, which hears clips whole."
        )


def classifies(recipe: object) -> "TypeIs[abilities.Classifier]":
    """Says whether a recipe, or a class of recipes, has `logits` of what `features` returns."""
    return getattr(recipe, "logits", None) is not None


def fits_fusion(recipe: object) -> "TypeIs[abilities.FusionFitter]":
    """Says whether a recipe wants the weights of its modalities from each validation."""
    return bool(getattr(recipe, "fits_fusion", False))


def shares_space(recipe: base.Recipe | type[base.Recipe]) -> bool:
    """Says whether cosines between modalities mean anything: those of a classifier do not."""
    return recipe.shares_space and not classifies(recipe)


def localizes(recipe: object) -> "TypeIs[abilities.Localizer]":
    """Says whether a recipe, or a class of recipes, has `localize`."""
    return getattr(recipe, "localize", None) is not None


def scores_pairs(recipe: object) -> "TypeIs[abilities.PairScorer]":
    """Says whether a recipe, or a class of recipes, has `pair_scores` of what it represents."""
    return hasattr(recipe, "pair_scores") and hasattr(recipe, "represent")


def clusters(recipe: object) -> "TypeIs[abilities.Clusterer]":
    """Says whether a recipe, or a class of recipes, has `clusters`."""
    return getattr(recipe, "clusters", None) is not None


def joint(
    recipe: base.Recipe,
) -> dict[str, Callable[[tensors.Batch], dict[str, tf.Tensor]]]:
    """Returns what a recipe answers to rows of all its modalities, by the name of the signature."""
    found: dict[str, Callable[[tensors.Batch], dict[str, tf.Tensor]]] = {}
    if classifies(recipe):
        found["classify"] = functools.partial(classify, recipe)
    if localizes(recipe):
        found["localize"] = functools.partial(localize, recipe)
    if scores_pairs(recipe):
        found["score_pairs"] = functools.partial(score_pairs, recipe)
    return found


def classify(recipe: abilities.Classifier, batch: tensors.Batch) -> dict[str, tf.Tensor]:
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


def localize(recipe: abilities.Localizer, batch: tensors.Batch) -> dict[str, tf.Tensor]:
    """Returns where a recipe with `localize` says that the sounds of a batch come from.

    Returns:
      `map` [B, H', W'] float32 in [0, 1], of several frames [B, F, H', W'].
    """
    return {"map": tf.cast(recipe.localize(batch), tf.float32)}


def score_pairs(recipe: abilities.PairScorer, batch: tensors.Batch) -> dict[str, tf.Tensor]:
    """Returns how well the audio and the image of each row of a batch belong together.

    Returns:
      `score` [B] float32, larger for closer; of what unit and range the recipe says.
    """
    sides = [recipe.represent(modality, batch) for modality in ("audio", "image")]
    scores = recipe.pair_scores(*sides)
    # Of one row, as on a phone, without an op that phones lack.
    own = tf.reshape(scores, [1]) if scores.shape[0] == 1 else tf.linalg.diag_part(scores)
    return {"score": tf.cast(own, tf.float32)}


def decision(recipe: object) -> float | None:
    """Returns the score from which a recipe was taught to take a pair for matched, if it was."""
    return getattr(recipe, "decision", None)


def embedding_space(recipe: base.Recipe) -> str:
    """Returns the id of the space that a recipe's encoders embed into.

    A hash of their weights and of how much of a clip is heard. Embeddings can be compared when
    theirs is the same. The hearing of exports before there was a choice adds nothing, so that what
    they embedded keeps its id.
    """
    digest = hashlib.sha256()
    if recipe.hearing != hearing_lib.Hearing():
        digest.update(json.dumps(recipe.hearing.facts(), sort_keys=True).encode())
    for name, variable in sorted(recipe.encoder_weights().items()):
        if variable.dtype.is_floating:  # no counters
            digest.update(f"{name} {variable.shape.as_list()}\n".encode())
            digest.update(variable.numpy().tobytes())
    return digest.hexdigest()[:16]


def served_weights(recipe: base.Recipe) -> list[tf.Variable]:
    """Returns the variables that signatures may read.

    Those of the encoders; of the heads, where the recipe answers to rows; and of the tables, where
    it localises or scores pairs (a map may be told from the usual one, a teacher has a classifier),
    or where it names them as `served_tables`.
    """
    found = list(recipe.encoder_weights().values())
    if joint(recipe):
        for name, head in sorted(recipe.heads.items()):
            found += weights.named_weights(head, name).values()
    if localizes(recipe) or scores_pairs(recipe):
        found += recipe.table_weights().values()
    else:
        for name in recipe.served_tables:
            found += weights.named_weights(recipe.tables[name], name).values()
    return found
