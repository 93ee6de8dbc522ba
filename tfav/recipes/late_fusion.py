"""How the logits of each modality become those of all of them together."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfav import registry
from tfav.layers import blending
from tfav.losses import rebalancing
from tfav.ops import sums

CHOICES = ("sum", "certainty", "fitted", "taken")
TABLE = "late_fusion"


def table(
    late_fusion: str | Mapping[str, float], modalities: Sequence[str]
) -> dict[str, blending.BlendingWeights]:
    """Returns the weights of the modalities by the name of their table, none where there are none.

    Args:
      late_fusion: a name of `CHOICES`, or a weight per modality, also as a text such as
        `audio=0.3,image=0.7`. `fitted` and `taken` start from 1 each.
      modalities: their names.

    Raises:
      UserError: an unknown name, or weights that make no sense.
    """
    if isinstance(late_fusion, str) and late_fusion not in CHOICES:
        late_fusion = _parsed(late_fusion, modalities)
    if late_fusion in ("sum", "certainty"):
        return {}
    made = blending.BlendingWeights(dict.fromkeys(modalities, 1.0), name=TABLE)
    if not isinstance(late_fusion, str):
        made.assign(late_fusion)
    return {TABLE: made}


def _parsed(text: str, modalities: Sequence[str]) -> dict[str, float]:
    """Returns the weights that a text of a command line gives, `audio=0.3,image=0.7`."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        found = {name.strip(): float(weight) for name, weight in pairs}
    except ValueError:
        found = {}
    if len(found) < text.count(",") + 1:
        example = ",".join(f"{name}=1" for name in modalities)
        raise registry.UserError(
            f"late_fusion={text!r}: choose one of {', '.join(CHOICES)}, or give a weight of each "
            f"of {', '.join(modalities)}, such as {example}."
        )
    return found


def fuse(
    logits: Mapping[str, tf.Tensor], weights: Mapping[str, tf.Tensor] | None, certain: bool
) -> tf.Tensor:
    """Returns the logits of all modalities together, [B, C].

    Args:
      logits: Logits [B, C] of the modalities that are there.
      weights: Weight of each modality; None: 1 each.
      certain: Whether each row weighs its modalities by how certain they are instead.
    """
    found = list(logits.values())
    if certain:
        shares = tf.unstack(rebalancing.certainty(found))
        found = [share[:, tf.newaxis] * z for share, z in zip(shares, found)]
    elif weights:
        found = [weights[m] * z for m, z in logits.items()]
    return sums.in_order(found)
