"""A sweep: one variant of a config with each of several values of a field."""

import math
import runpy
from collections.abc import Callable, Mapping
from typing import Any

from tfav import registry


def read(
    sweep: str, config: str, variant: str, overrides: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Returns the field of a sweep, and its values by how they were written.

    Args:
      sweep: `FIELD:VALUE,VALUE,...`.
      config: a config file.
      variant: Variant of that file.
      overrides: config fields that are set otherwise.

    Raises:
      UserError: no such field, or a value that it cannot have.
    """
    field, _, rest = sweep.partition(":")
    texts = [text.strip() for text in rest.split(",")]
    if not field or not all(texts):
        raise registry.UserError(
            f"--sweep={sweep}: write FIELD:VALUE,VALUE,..., such as train.learning_rate:0.01,0.1."
        )
    for taken, flag in {"seed": "--seeds", "data.directory": "--data"}.items():
        if field == taken:
            raise registry.UserError(f"--sweep={sweep}: {field} is what {flag} gives: use that.")
    if field in overrides:
        raise registry.UserError(
            f"--config.{field} and --sweep={sweep} set one field: leave one of them out."
        )
    node = runpy.run_path(config)["get_config"](variant)
    *path, last = field.split(".")
    try:
        for part in path:
            node = node[part]
        kind = node.get_type(last)
    except (AttributeError, KeyError, TypeError) as error:
        raise registry.UserError(
            f"--sweep={sweep}: the variant {variant} of {config} has no field {field}: name one as "
            "after --config., such as train.learning_rate."
        ) from error
    if kind not in _VALUES:
        raise registry.UserError(
            f"--sweep={sweep}: {field} holds no single value ({kind.__name__}): sweep a field that "
            "is a number, a word or true/false."
        )
    what, read = _VALUES[kind]
    values: dict[str, Any] = {}
    for text in texts:
        try:
            value = read(text)
        except (ValueError, KeyError) as error:
            raise registry.UserError(
                f"--sweep={sweep}: {text!r} is no value of {field}: give {what}."
            ) from error
        if value not in values.values():
            values[text] = value
    return field, values


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(text)
    return float(text)


# Type of a field to what its values are, and how one is read.
_VALUES: dict[type, tuple[str, Callable[[str], Any]]] = {
    bool: ("true or false", lambda text: {"true": True, "false": False}[text.lower()]),
    int: ("whole numbers", int),
    float: ("numbers", _finite),
    str: ("words", str),
}
