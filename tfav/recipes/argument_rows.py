"""Rows of the tables of arguments that several recipes have; see `Recipe.arguments`."""

from tfav import values
from tfav.layers import margins

_LARGE = 1e6


def weight(of: str) -> values.Value:
    """Returns the row of a term's factor."""
    return values.number(0.0, _LARGE, f"the factor of {of}; 0 leaves it out")


def share(of: str) -> values.Value:
    """Returns the row of a share above 0 and up to 1."""
    return values.number(0.0, 1.0, of, above=True)


def scale(why: str) -> values.Value:
    """Returns the row of what cosines are multiplied by, or None where it is worked out."""
    return values.number(0.0, 10_000.0, why, above=True, or_none=True)


def margin() -> dict[str, values.Value]:
    """Returns the rows of a margin on the cosines of a head."""
    return {
        "margin_kind": values.text("a row of MARGINS or a dotted path"),
        "margin": values.number(0.0, margins.LARGEST, "in cosines or radians; 0: none"),
        "margin_warmup_steps": values.whole(0, 10**10, "steps in which it grows; 0: none"),
    }


SAMPLED = values.number(
    0.0, 1.0, "the share of the classes that a step compares with; 1: all", above=True
)
SUB_CENTERS = values.whole(1, 1024, "centres per class, the nearest of which counts")


def alignment(prefix: str) -> dict[str, values.Value]:
    """Returns the rows of what the losses of `alignment.ALIGNMENT` take, below a dotted prefix."""
    rows = {
        "m": values.number(0.0, _LARGE, "the saturation of the explicit loss", above=True),
        "temperature": values.number(0.0, 100.0, "it divides the cosines", above=True),
        "symmetric": values.FLAG,
        "norm_weight": weight("the embeddings' squared norms"),
        "margin": values.number(0.0, 10.0, "no two unit vectors are more than 2 apart"),
        "scale": values.number(0.0, 10_000.0, "of the cosines", above=True),
        "hardness": values.number(0.0, 1.0, "the share of negatives that are easier"),
    }
    return {f"{prefix}.{name}": row for name, row in rows.items()}
