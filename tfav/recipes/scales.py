"""Scale and margin of a cosine head: the scale as configured, or the least that can be certain."""

from absl import logging

from tfav import registry, theory
from tfav.layers import margins

BOUNDS = ("paper", "tight")


def cosine_scale(
    scale: float | None, num_classes: int, num_modalities: int, posterior: float, bound: str
) -> float | None:
    """Returns the scale of a cosine head, the bound where none is given; the log says which.

    Below the bound it advises and does not refuse: the paper's best scale on CREMA-D is.

    Args:
      scale: Scale as configured.
      num_classes: C.
      num_modalities: n.
      posterior: p.
      bound: a name of `BOUNDS`.

    Raises:
      UserError: an unknown bound, or a posterior that bounds nothing.
    """
    if bound not in BOUNDS:
        raise registry.UserError(f"bound={bound!r}: choose one of {', '.join(BOUNDS)}.")
    if num_classes < 2:
        return scale  # the head says what is wrong
    if not 1 / num_classes < posterior < 1:
        raise registry.UserError(
            f"posterior={posterior} must lie between chance, 1/{num_classes}, and 1: the default "
            "is 0.99."
        )
    least = theory.cosine_scale_bound(num_classes, posterior, num_modalities, bound == "tight")
    why = (
        f"the {bound} bound for a posterior of {posterior:g} with {num_classes} classes and "
        f"{num_modalities} modalities"
    )
    if scale is None:
        logging.info("scale %.4g: %s", least, why)
        return least
    if isinstance(scale, (int, float)) and 0 < scale < least:
        logging.warning(
            "scale %g lies below %.4g, %s: no class can reach that posterior. That can still be "
            "the best choice; compare it with others by --sweep=loss.scale.",
            scale,
            least,
            why,
        )
    else:
        logging.info("scale %s, as configured; %.4g is %s", scale, least, why)
    return scale


def margin(
    kind: str, margin: float, warmup_steps: int, scale: float | None
) -> margins.Margin | None:
    """Returns the layer that puts a margin on a head's logits in training, None without one.

    Args:
      kind: a row of `margins.MARGINS` or a dotted path.
      margin: Margin after the warm-up.
      warmup_steps: Number of steps in which it grows.
      scale: Factor by which the head's logits are cosines; None where they are none.

    Raises:
      UserError: a margin without a kind, logits that are no cosines, or what the layer refuses.
    """
    if kind == "none":
        for field, value in {"margin": margin, "margin_warmup_steps": warmup_steps}.items():
            if value:
                raise registry.UserError(
                    f"{field}={value} does nothing with margin_kind='none': name a kind, one of "
                    f"{', '.join(margins.MARGINS)}, or set it to 0."
                )
        return None
    if scale is None:
        raise registry.UserError(
            f"margin_kind={kind!r} takes the logits for cosines, and those of this head are none: "
            "choose the cosine head (model.head='cosine', or model.normalized=True), or set it to "
            "'none'."
        )
    logging.info("margin %g (%s) at scale %.4g, %d steps to it", margin, kind, scale, warmup_steps)
    return margins.Margin(scale, kind=kind, margin=margin, warmup_steps=warmup_steps)
