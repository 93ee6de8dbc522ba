"""Gradient blending (Wang, Tran, Feiszli, CVPR 2020): a loss per modality beside the fused one."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from tfav import registry, theory
from tfav.layers import blending as blending_lib
from tfav.ops import sums

CHOICES = ("off", "equal", "estimated")


def table(
    blending: str | Mapping[str, float], names: Sequence[str]
) -> blending_lib.BlendingWeights:
    """Returns the weights of the losses `names`: those that are given, or all the same.

    Raises:
      UserError: none of `CHOICES` and no weights, or weights that make no sense.
    """
    made = blending_lib.BlendingWeights(dict.fromkeys(names, 1.0 / len(names)))
    if not isinstance(blending, str):
        made.assign(blending)
    elif blending not in CHOICES:
        raise registry.UserError(
            f"blending={blending!r}: choose one of {', '.join(CHOICES)}, or give a weight of each "
            f"of {', '.join(names)}."
        )
    return made


def blend(
    parts: Mapping[str, tf.Tensor], its: blending_lib.BlendingWeights
) -> dict[str, tf.Tensor]:
    """Returns the weighted loss, its parts and their weights, [b] each, of losses [b] by name."""
    weights = its.weights()
    return {
        "loss": sums.in_order([weights[k] * part for k, part in parts.items()]),
        **{f"loss_{k}": part for k, part in parts.items()},
        **{f"blend_{k}": weights[k] * tf.ones_like(part) for k, part in parts.items()},
    }


def assign(
    its: blending_lib.BlendingWeights, lines: Sequence[Mapping[str, Any]], source: str
) -> None:
    """Sets the weights of the losses to those that `estimated` finds in the log of a run."""
    weights = estimated(lines, its.names, source)
    its.assign(weights)
    logging.info("losses blended by %s", weights)


def estimated(
    lines: Sequence[Mapping[str, Any]], names: Sequence[str], source: str
) -> dict[str, float]:
    """Returns the weights that the first and the last validation of a run tell.

    Args:
      lines: Lines of that run's `scalars.jsonl`, in order.
      names: Names of the losses, the fused one first.
      source: that run, for the messages.

    Raises:
      UserError: the run has not been validated twice.
    """
    validated = [line for line in lines if f"val/loss_{names[0]}" in line]
    if len(validated) < 2:
        raise registry.UserError(
            f"{source} was validated {len(validated)} times, and blending compares two "
            "validations: set --config.first_phase.train.validate_every to half of its steps or "
            "fewer."
        )
    ends = validated[0], validated[-1]
    return theory.blending_weights(
        {name: tuple(line[f"loss_{name}"] for line in ends) for name in names},
        {name: tuple(line[f"val/loss_{name}"] for line in ends) for name in names},
    )
