"""From a config to a recipe, fresh or trained."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import ml_collections

from tfav import compat, config_file, fields, recipes, registry, values
from tfav import hearing as hearing_lib
from tfav import items as items_lib
from tfav.data import kinds
from tfav.encoders import by_kind, encoder
from tfav.recipes import outputs
from tfav.recipes import recipe as base
from tfav.training import environment, optimizers, weights_file


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


class Section(NamedTuple):
    """What a config says of one of its modalities.

    Attributes:
      name: of the section, such as `further.flow`.
      kind: of the modality.
      its: the section.
    """

    name: str
    kind: kinds.Kind
    its: ml_collections.ConfigDict


def sections(c: ml_collections.ConfigDict) -> dict[str, Section]:
    """Returns what a config says of each of its modalities; clips first, then in its order.

    Raises:
      UserError: a kind that does not exist, a field of the section that it lacks or refuses, or a
        modality that is called as something of another one.
    """
    known = {"audio": Section("audio", kinds.AUDIO, c.audio)}
    known["image"] = Section("image", kinds.IMAGE, c.image)
    for modality, its in c.further.items():
        if modality in c.modalities:
            known[modality] = _further(modality, its)
    found = {modality: known[modality] for modality in c.modalities}
    lengths = {m: kind.item(m, its).length for m, (_, kind, its) in found.items()}
    counted = (f"batches count the steps of {m} as {n}" for m, n in lengths.items() if n in found)
    if wrong := items_lib.clash(found) or next(counted, ""):
        raise registry.UserError(
            f"--config.modalities={tuple(c.modalities)}, and {wrong}: rename one of the two in the "
            "config and the data."
        )
    # The order of a head's columns: that of runs from before there were kinds.
    return dict(sorted(found.items(), key=lambda entry: entry[1].kind is not kinds.AUDIO))


def _further(modality: str, its: ml_collections.ConfigDict) -> Section:
    name = f"further.{modality}"
    kind = kinds.find(its.get("kind", kinds.IMAGE.name))
    if kind is kinds.AUDIO:
        raise registry.UserError(
            f"--config.{name}.kind=audio: the modality `audio` alone is of that kind; choose "
            "another."
        )
    lacking = [field for field in kind.fields if field not in its]
    if lacking:
        raise registry.UserError(
            f"--config.{name} has no field {lacking[0]!r}, which a modality of the kind "
            f"{kind.name} needs: give {kind.fields[lacking[0]].wanted}."
        )
    flag = f"--config.{name}.{{}}".format
    own = {field: value for field, value in its.items() if field not in fields.OF_EVERY_KIND}
    unknown = [field for field in own if field not in kind.fields]
    if unknown:
        raise registry.UserError(
            f"{flag(unknown[0])} is no field of the kind {kind.name}: leave it out, or choose from "
            f"{', '.join(kind.fields)}."
        )
    values.check(own, kind.fields, flag)
    return Section(name, kind, its)


def items(c: ml_collections.ConfigDict) -> dict[str, items_lib.ItemSpec]:
    """Returns what one item of each of a config's modalities is, in the order of `sections`."""
    return {m: kind.item(m, its) for m, (_, kind, its) in sections(c).items()}


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
    """Returns a config's encoders, by modality, with fresh weights.

    Raises:
      UserError: an unknown encoder, an argument that it does not take, or one of other items.
    """
    made: dict[str, encoder.Encoder] = {}
    for modality, (section, kind, its) in sections(c).items():
        make = registry.lookup(
            by_kind.ENCODERS.get(kind.name, {}), its.encoder, f"{kind.name} encoder"
        )
        made[modality] = registry.call(
            make,
            f"the encoder {its.encoder!r} in --config.{section}.arguments",
            its.arguments.to_dict(),
            encoder.Encoder,
            embedding_size=c.embedding_size,
            seed=c.seed,
            name=modality,
            **kind.encoder_arguments(modality, its),
        )
        if not made[modality].weights_exist:  # a step would make them, and the optimizer lack them
            made[modality].create_weights()
        wanted, own = kind.item(modality, its), made[modality].item_spec
        if own.of(modality, wanted.num_frames) != wanted:
            raise registry.UserError(
                f"the encoder {its.encoder!r} of --config.{section} takes {own.kind} {own.dtype} "
                f"{list(own.shape)} and the section is of {wanted.kind} {wanted.dtype} "
                f"{list(wanted.shape)}: choose another encoder, or correct the section."
            )
    return made


def recipe_class(c: ml_collections.ConfigDict) -> type[base.Recipe]:
    """Returns the class of a config's recipe."""
    return registry.lookup(recipes.RECIPES, c.recipe, "recipe", registry.subclass(base.Recipe))


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


def optimizer(c: ml_collections.ConfigDict, recipe: base.Recipe) -> Any:
    """Returns the config's optimizer for a built recipe, with all its slots created.

    Raises:
      UserError: an unknown optimizer or schedule.
    """
    made = optimizers.create(
        c.train.optimizer,
        c.train.learning_rate,
        schedule=c.train.schedule,
        num_steps=c.train.num_steps,
        warmup_steps=c.train.warmup_steps,
        boundaries=c.train.decay_steps,
        factor=c.train.decay_factor,
        momentum=c.train.momentum,
    )
    compat.build_optimizer(made, recipe.trainable_weights)
    return made


def trained(workdir: str) -> Trained:
    """Returns a finished run.

    Raises:
      UserError: no finished run there.
    """
    c = config_file.load(workdir)
    with c.unlocked():
        c.dtype = "float32"
    starts = environment.starts(workdir)
    if not starts:
        raise registry.UserError(f"{workdir} has no environment.json: restore it, or train again.")
    labels = tuple(starts[-1]["labels"])
    recipe = model(c, len(labels))
    recipe.vector_spaces = environment.vector_spaces(workdir)
    facts = weights_file.load(workdir, recipe.named_weights())
    return Trained(c, recipe, facts, labels)
