"""From a config to a recipe, fresh or trained."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import ml_collections

from tfav import config as config_lib
from tfav import hearing as hearing_lib
from tfav import recipes, registry, values
from tfav.encoders import audio, encoder, image
from tfav.recipes import outputs
from tfav.recipes import recipe as base
from tfav.training import checkpoints, environment


class Trained(NamedTuple):
    """A finished run.

    Attributes:
      config: of the run, in float32.
      recipe: with the weights that were kept.
      facts: of those weights, such as their step and metric.
      labels: of the classes, in order; empty for a released checkpoint, which has none.
    """

    config: ml_collections.ConfigDict
    recipe: base.Recipe
    facts: Mapping[str, Any]
    labels: tuple[str, ...] = ()


def pictures(c: ml_collections.ConfigDict) -> dict[str, ml_collections.ConfigDict]:
    """Returns what the config says of each of its modalities that are made of pictures."""
    known = {"image": c.image, **{name: c.further[name] for name in c.further}}
    return {name: known[name] for name in c.modalities if name != "audio"}


def hearing(c: ml_collections.ConfigDict) -> hearing_lib.Hearing:
    """Returns how much of a clip a config's embeddings hear.

    Raises:
      UserError: a value out of its range.
    """
    return hearing_lib.Hearing(
        max_seconds=c.eval.audio_seconds,
        min_seconds=c.eval.min_seconds,
        window_seconds=c.eval.window_seconds,
    )


def encoders(c: ml_collections.ConfigDict) -> dict[str, encoder.Encoder]:
    """Returns a config's encoders, by modality, with fresh weights."""
    made: dict[str, encoder.Encoder] = {}
    if "audio" in c.modalities:
        make = registry.lookup(audio.AUDIO_ENCODERS, c.audio.encoder, "audio encoder")
        made["audio"] = registry.call(
            make,
            f"the encoder {c.audio.encoder!r} in --config.audio.arguments",
            c.audio.arguments.to_dict(),
            embedding_size=c.embedding_size,
            frontend=c.audio.frontend.to_dict(),
            seed=c.seed,
            name="audio",
        )
    for modality, its in pictures(c).items():
        make = registry.lookup(image.IMAGE_ENCODERS, its.encoder, "image encoder")
        made[modality] = registry.call(
            make,
            f"the encoder {its.encoder!r} in --config.{_section(modality)}.arguments",
            its.arguments.to_dict(),
            embedding_size=c.embedding_size,
            image_size=its.size,
            seed=c.seed,
            name=modality,
        )
    return made


def _section(modality: str) -> str:
    return modality if modality == "image" else f"further.{modality}"


def recipe_class(c: ml_collections.ConfigDict) -> type[base.Recipe]:
    """Returns the class of a config's recipe."""
    return registry.lookup(recipes.RECIPES, c.recipe, "recipe")


def recipe_arguments(c: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns what a config gives its recipe: `model` for the heads, `loss` for the losses.

    Raises:
      UserError: a value that the recipe's table refuses, or an argument named in both.
    """
    sections = {"model": c.model.to_dict(), "loss": c.loss.to_dict()}
    twice = sorted(sections["model"].keys() & sections["loss"].keys())
    if twice:
        raise registry.UserError(
            f"{twice[0]} stands in --config.model and in --config.loss: give it in one of them."
        )
    for section, arguments in sections.items():
        values.check(
            values.flat(arguments), recipe_class(c).arguments, f"--config.{section}.{{}}".format
        )
    return {**sections["model"], **sections["loss"]}


def model(c: ml_collections.ConfigDict, num_classes: int) -> base.Recipe:
    """Returns the config's recipe with all weights created.

    Args:
      c: a config.
      num_classes: of the training split.

    Raises:
      UserError: a value that the recipe or an encoder refuses.
    """
    arguments = recipe_arguments(c)
    keras.utils.set_random_seed(c.seed)
    keras.mixed_precision.set_global_policy(c.dtype)
    recipe = registry.call(
        recipe_class(c),
        f"the recipe {c.recipe!r} in --config.model and --config.loss",
        arguments,
        encoders=encoders(c),
        num_classes=num_classes,
        seed=c.seed,
    )
    recipe.hearing = hearing(c)
    outputs.check_hearing(recipe)
    return recipe


def trained(workdir: str) -> Trained:
    """Returns a finished run.

    Raises:
      UserError: no finished run there.
    """
    c = config_lib.load(workdir)
    with c.unlocked():
        c.dtype = "float32"
    starts = environment.starts(workdir)
    if not starts:
        raise registry.UserError(f"{workdir} has no environment.json: restore it, or train again.")
    labels = tuple(starts[-1]["labels"])
    recipe = model(c, len(labels))
    facts = checkpoints.load_weights(workdir, recipe.named_weights())
    return Trained(c, recipe, facts, labels)
