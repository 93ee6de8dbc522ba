"""JSON files of others that mark what sounds in images: a list of objects with boxes."""

import json
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfav import registry
from tfav.annotations import boxes


def read(path: str | os.PathLike, fields: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the entries of a JSON list of objects.

    Args:
      path: of the file.
      fields: what each entry must have.

    Raises:
      UserError: it cannot be read, or is no such list.
    """
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise registry.UserError(
            f"{path} cannot be read as JSON ({error}): give the official file."
        ) from error
    if not isinstance(found, list) or not found:
        raise registry.UserError(f"{path} is no list of annotations: give the official file.")
    for place, entry in enumerate(found):
        lacking = [f for f in fields if not isinstance(entry, dict) or f not in entry]
        if lacking:
            raise registry.UserError(
                f"{path}: entry {place} has no {lacking[0]!r}: give the official file."
            )
    return found


def fractions(corners: Any, side: float, where: str) -> boxes.Box | None:
    """Returns a box in fractions of the image, cut to it; None of one without any area.

    Args:
      corners: left, top, right, bottom.
      side: what they are fractions of: pixels of a side, or 1.
      where: file and entry, for the message.

    Raises:
      UserError: not four finite numbers.
    """
    try:
        found = [float(x) for x in corners]
    except (TypeError, ValueError):
        found = []
    if len(found) != 4 or not all(map(math.isfinite, found)):
        raise registry.UserError(
            f"{where}: the box {corners!r} is not left, top, right and bottom: give the official "
            "file."
        )
    # As the column keeps them, so that what it cannot tell apart has no area.
    left, top, right, bottom = np.clip(np.array(found) / side, 0, 1).round(4).tolist()
    return (left, top, right, bottom) if left < right and top < bottom else None
