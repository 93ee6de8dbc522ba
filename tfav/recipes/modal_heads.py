"""The heads of a recipe that classifies by several modalities: fusion, classifiers, margins."""

import zlib
from collections.abc import Collection, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import class_sampling, classifiers, layer
from tfav.layers import fusion as fusions
from tfav.recipes import class_columns, scales


def make(
    num_classes: int,
    sizes: Mapping[str, int],
    *,
    head: str,
    fusion: str,
    scale: float | None,
    sampled: float,
    sharded: bool,
    sub_centers: int,
    margin: Mapping[str, Any],
    own: bool,
    seed: int,
) -> dict[str, keras.layers.Layer]:
    """Returns `fusion`, `classifier`, and where there is a margin `margin`, by name.

    With heads of their own, also `own_MODALITY` and `own_margin`; and `sampler`, where a step takes
    a share of the classes.

    Args:
      num_classes: C.
      sizes: Size D_m of each modality's features, in the order of the columns.
      head: a row of `classifiers.HEADS` or a dotted path.
      fusion: a row of `fusion.FUSIONS` or a dotted path.
      scale: Scale of the cosines; None of a head without one.
      sampled: Share of the classes that a step takes, see `class_sampling.ClassSampler`.
      sharded: Whether the replicas share the classes, see `class_shards`.
      sub_centers: Number of centres per class and modality.
      margin: `kind`, `margin` and `warmup_steps` of `scales.margin`.
      own: Whether each modality has a head of its own besides.
      seed: Random seed of the weights.

    Raises:
      UserError: an unknown row, or what a head or the margin refuses.
    """
    wanted = registry.subclass(classifiers.ModalityClassifier)
    make_head = registry.lookup(classifiers.HEADS, head, "head", wanted)
    make_fusion = registry.lookup(fusions.FUSIONS, fusion, "fusion", registry.subclass(layer.Layer))
    further: dict[str, Any] = {} if sub_centers == 1 else {"sub_centers": sub_centers}
    further |= {"sharded": True} if sharded else {}
    if sharded and not hasattr(make_head, "rows"):
        raise registry.UserError(
            f"sharded=True needs a head without a bias and head={head!r} has one: choose "
            "head='cosine', or set it to False."
        )
    heads: dict[str, keras.layers.Layer] = {"fusion": make_fusion(sizes, seed=seed)}
    heads["classifier"] = registry.call(
        make_head,
        f"the head {head!r} in --config.model.head",
        further,
        num_classes=num_classes,
        sizes=sizes,
        scale=scale,
        seed=seed,
    )
    if sampled != 1.0 and not hasattr(heads["classifier"], "rows"):
        raise registry.UserError(
            f"sampled={sampled} needs a head that can take some of its classes, and head={head!r} "
            "takes all: choose head='cosine', or set it to 1."
        )
    heads |= class_sampling.make(num_classes, sampled, seed)
    _add_margin(heads, "margin", margin, heads["classifier"])
    if own:
        # An own head sees one modality: n times the scale gives its logits the same range.
        own_scale = None if scale is None else scale * len(sizes)
        for m, size in sizes.items():
            own_seed = zlib.crc32(f"own/{m}/{seed}".encode()) % 2**30
            heads[f"own_{m}"] = make_head(
                num_classes, {m: size}, scale=own_scale, seed=own_seed, name=f"own_{m}", **further
            )
            last = heads[f"own_{m}"]
        _add_margin(heads, "own_margin", margin, last)
    return heads


def _add_margin(
    heads: dict[str, keras.layers.Layer],
    name: str,
    margin: Mapping[str, Any],
    head: keras.layers.Layer,
) -> None:
    made = scales.margin(scale=getattr(head, "scale", None), **margin)
    if made is not None:
        heads[name] = made


def class_weights(
    arguments: Mapping[str, Any], sizes: Mapping[str, int], num_classes: int, own: bool
) -> list[tuple[int, int]]:
    """Returns the shapes of the weights of `classifier` and of each `own_MODALITY`, of `make`.

    Args:
      arguments: of the recipe, `head` and `sub_centers` among them.
      sizes: Size D_m of each modality's features.
      num_classes: C.
      own: Whether each modality has a head of its own too.
    """
    wanted = registry.subclass(classifiers.ModalityClassifier)
    head = registry.lookup(classifiers.HEADS, arguments.get("head", "cosine"), "head", wanted)
    heads = [sizes, *({m: size} for m, size in sizes.items() if own)]
    rows = num_classes * arguments.get("sub_centers", 1)
    return [(rows, head.num_columns(its)) for its in heads]


def fuse(
    heads: Mapping[str, keras.layers.Layer],
    features: Mapping[str, tf.Tensor],
    modalities: Collection[str],
) -> dict[str, tf.Tensor]:
    """Returns the fused features [b, D_m] of the modalities that are there.

    Args:
      heads: Layers by name.
      features: Features of the modalities that are there, [b, D_m].
      modalities: Names of all modalities.

    Raises:
      UserError: there is none, or one lacks and the fusion needs it.
    """
    missing = [m for m in modalities if m not in features]
    if len(missing) == len(modalities):
        raise registry.UserError(
            f"there is no modality to classify: give one of {', '.join(modalities)}."
        )
    if missing and heads["fusion"].needs_all:
        made = type(heads["fusion"])
        name = next((row for row, its in fusions.FUSIONS.items() if its is made), made.__name__)
        raise registry.UserError(
            f"{', '.join(missing)} is missing and fusion={name!r} needs all modalities: give it, "
            "or train with fusion='concat', which classifies by those that are there."
        )
    return heads["fusion"](dict(features))


def read(
    heads: Mapping[str, keras.layers.Layer],
    name: str,
    features: Mapping[str, tf.Tensor],
    columns: class_columns.Columns | None = None,
) -> dict[str, tf.Tensor]:
    """Returns the logits of each modality by the head `name`.

    Args:
      heads: Layers by name.
      name: of the head.
      features: Features of the modalities, [b, D_m].
      columns: Classes that the logits are of; None: all.
    """
    if columns is None or name not in columns.weights:
        return heads[name](dict(features))
    return heads[name](dict(columns.everyone(features)), columns.weights[name])


def norms(head: classifiers.ModalityClassifier, rows: tf.Tensor | None) -> Mapping[str, tf.Tensor]:
    """Returns each modality's mean length of a class's weights, [] each: of all classes, or some.

    Args:
      head: the common head.
      rows: Weights of the classes that were drawn; None: all.
    """
    return head.weight_norms() if rows is None else head.weight_norms(rows)


def harder(
    heads: Mapping[str, keras.layers.Layer],
    name: str,
    logits: Mapping[str, tf.Tensor],
    columns: class_columns.Columns,
    training: bool,
) -> Mapping[str, tf.Tensor]:
    """Returns the logits that a loss is of: in training with the margin `name`, if there is one."""
    if name not in heads:
        return logits
    return heads[name](logits, columns.column, training=training, here=columns.here)


def margin_scalars(
    heads: Mapping[str, keras.layers.Layer], ones: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns `margin`, that of the next step, and `scale`, times `ones` [b]; or nothing."""
    if "margin" not in heads:
        return {}
    return {"margin": heads["margin"].current() * ones, "scale": heads["margin"].scale * ones}


def pair_weight(field: str, value: float, sizes: Mapping[str, int]) -> float:
    """Returns the weight of a term that compares modalities of these sizes.

    Raises:
      UserError: it is negative, or there is nothing to compare.
    """
    if not value >= 0:
        raise registry.UserError(f"{field}={value} must not be negative: 0 leaves the term out.")
    if value and (len(sizes) < 2 or len(set(sizes.values())) > 1):
        raise registry.UserError(
            f"{field}={value} compares modalities and was given embeddings {dict(sizes)}: it needs "
            "two or more of one size; set it to 0."
        )
    return float(value)
