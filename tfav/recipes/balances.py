"""The table of methods that balance modalities in training."""

from collections.abc import Mapping
from typing import Any

from tfav import registry
from tfav.recipes import feature_balances, gradient_balances, turn_balances
from tfav.recipes.balancing import Balance

# A row is made as `row(sizes, num_classes, **balance_args)`.
BALANCES: dict[str, type[Balance]] = {
    "mmpareto": gradient_balances.MMPareto,
    "agm": gradient_balances.AGM,
    "pmr": feature_balances.PMR,
    "mla": turn_balances.MLA,
    "reconboost": turn_balances.ReconBoost,
    "lfm": feature_balances.LFM,
}


def make(
    name: str, arguments: Mapping[str, float], sizes: Mapping[str, int], num_classes: int
) -> Balance | None:
    """Returns a method; None for `off`.

    Args:
      name: `off`, a row of `BALANCES` or a dotted path.
      arguments: further ones of that row.
      sizes: modality to the size of its features.
      num_classes: C.

    Raises:
      UserError: an unknown row, or what it refuses.
    """
    if name == "off":
        if arguments:
            raise registry.UserError(
                f"balance_args={dict(arguments)} do nothing with balance='off': name a method, "
                f"one of {', '.join(BALANCES)}, or leave them out."
            )
        return None
    what = f"balance_args of balance={name!r}:"
    return registry.call(_row(name), what, arguments, Balance, sizes=sizes, num_classes=num_classes)


def has_own_heads(name: str, blending: Any) -> bool:
    """Says whether each modality has a head of its own: by a method or `off`, and the blending.

    Raises:
      UserError: an unknown row.
    """
    return blending != "off" or (name != "off" and _row(name).own_heads)


def _row(name: str) -> type[Balance]:
    return registry.lookup(BALANCES, name, "balance", registry.subclass(Balance))


def check(
    method: Balance,
    name: str,
    head: str,
    fusion: str,
    needs_all: bool,
    blending: Any,
    modulation: str,
    sampled: float,
) -> None:
    """Refuses a method beside what it does not go with.

    Args:
      method: the method.
      name: its row.
      head: row of the head.
      fusion: row of the fusion.
      needs_all: whether under that fusion the logits of a modality depend on all of them.
      blending: of losses.
      modulation: of gradients.
      sampled: share of the classes that a step compares with.

    Raises:
      UserError: that.
    """
    if blending != "off" or modulation != "off":
        raise registry.UserError(
            f"balance={name!r} beside blending={blending!r} and modulation={modulation!r}: each "
            "balances the modalities in its own way; set all but one of them to 'off'."
        )
    if sampled != 1.0:
        raise registry.UserError(
            f"balance={name!r} beside sampled={sampled}: it compares with all classes; set "
            "model.sampled to 1, or the balance to 'off'."
        )
    if method.apart and needs_all:
        raise registry.UserError(
            f"balance={name!r} needs logits that are of one modality each and fusion={fusion!r} "
            "makes them of all: set model.fusion to 'concat'."
        )
    if method.head and head != method.head:
        raise registry.UserError(
            f"balance={name!r} needs the head {method.head!r} and was given {head!r}: set "
            f"model.head to {method.head!r}."
        )
