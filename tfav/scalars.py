"""The log of a run, `scalars.jsonl`: one line of JSON per look of the host at the training.

A line is `{"step": step, name: value, ..., "crc32": checksum}`; lines of older versions have no
checksum. What cannot be read, or does not fit its checksum, is a damaged line: readers go on
without it and say how many there are.
"""

import json
import os
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from absl import logging

from tfav import registry

FILE = "scalars.jsonl"
_CHECKSUM = "crc32"


class Line(NamedTuple):
    """One line of the file.

    Attributes:
      text: as it stands in the file, with its end.
      scalars: name to value, `step` among them; None when the line is damaged.
    """

    text: str
    scalars: dict[str, Any] | None


def line(step: int, scalars: Mapping[str, float]) -> str:
    """Returns the line of what a step logged, with its end."""
    text = json.dumps({"step": step, **scalars})
    return f'{text[:-1]}, "{_CHECKSUM}": "{zlib.crc32(text.encode()):08x}"}}\n'


def lines(workdir: str | os.PathLike) -> list[Line]:
    """Returns the lines of a run's file; none where there is no file.

    The last one is left out while its end is missing: a run is writing it, or was killed then.
    """
    try:
        with open(os.path.join(workdir, FILE), "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return []
    *whole, _ = content.decode(errors="surrogateescape").split("\n")
    return [Line(f"{text}\n", _parse(text)) for text in whole]


def read(workdir: str | os.PathLike, whole: bool = False) -> list[dict[str, Any]]:
    """Returns the scalars of every line that is not damaged; the log counts the others.

    Args:
      workdir: of a run.
      whole: refuse damaged lines: what is computed from the others would be another number.

    Raises:
      UserError: there is no such file, or `whole` and a line is damaged.
    """
    path = os.path.join(workdir, FILE)
    if not os.path.isfile(path):
        raise registry.UserError(f"{path} does not exist: give the folder of a train run.")
    found = lines(workdir)
    bad = damaged(found)
    if whole and bad:
        raise registry.UserError(
            f"{path} has {len(bad)} damaged lines (first: line {bad[0]}): restore it from a copy, "
            "or train that run again."
        )
    warn(path, found)
    return [each.scalars for each in found if each.scalars is not None]


def damaged(found: list[Line]) -> list[int]:
    """Returns the numbers, from 1, of the lines that are damaged."""
    return [number for number, each in enumerate(found, start=1) if each.scalars is None]


def warn(path: str | os.PathLike, found: list[Line]) -> None:
    """Logs how many lines are damaged, if any."""
    bad = damaged(found)
    if bad:
        logging.warning(
            "%s: %d of %d lines are damaged and left out (first: line %d)",
            path,
            len(bad),
            len(found),
            bad[0],
        )


def last_step(workdir: str | os.PathLike) -> int:
    """Returns the largest step that a run has logged; 0 where it has logged none."""
    steps = [each.scalars["step"] for each in lines(workdir) if each.scalars is not None]
    return max(steps, default=0)


def _parse(text: str) -> dict[str, Any] | None:
    try:
        scalars = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(scalars, dict) or type(scalars.get("step")) is not int:
        return None
    checksum = scalars.pop(_CHECKSUM, None)
    if not all(isinstance(value, (int, float)) for value in scalars.values()):
        return None
    if checksum not in (None, f"{zlib.crc32(json.dumps(scalars).encode()):08x}"):
        return None
    return scalars
