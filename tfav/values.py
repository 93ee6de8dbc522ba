"""What a value of a config may be: rows of a table, and the sentence that refuses another one.

A row says type, least, most and why; the tables stand where the values belong: `fields.FIELDS` for
what every experiment shares, `Recipe.arguments` for what a recipe takes.
"""

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tfav import registry


class Value(NamedTuple):
    """What a value may be.

    Attributes:
      kind: int, float (which takes an int), bool or str.
      least: of a number.
      most: of a number.
      why: what lies beyond, or what the value is.
      above: the least itself is out.
      choices: the texts there are; none: any.
      several: the value is a tuple of such values.
      or_none: None stands for a value worked out later.
    """

    kind: type
    least: float = -math.inf
    most: float = math.inf
    why: str = ""
    above: bool = False
    choices: tuple[str, ...] = ()
    several: bool = False
    or_none: bool = False

    @property
    def wanted(self) -> str:
        """What to give instead, as the end of a sentence."""
        if self.kind is bool:
            text = "True or False"
        elif self.kind is str:
            text = f"one of {', '.join(self.choices)}" if self.choices else "a text"
        else:
            noun = "a whole number" if self.kind is int else "a number"
            if self.above:
                text = f"{noun} above {self.least:.15g} and at most {self.most:.15g}"
            else:
                text = f"{noun} from {self.least:.15g} to {self.most:.15g}"
        if self.several:
            text = f"a tuple, each of it {text}"
        if self.or_none:
            text += ", or None"
        return f"{text} ({self.why})" if self.why else text

    def parsed(self, text: str) -> Any:
        """Returns the value that a text of a command line means, or the text where it is none."""
        if self.kind is bool:
            return {"true": True, "false": False}.get(text.lower(), text)
        try:
            return self.kind(text)
        except ValueError:
            return text

    def wrong(self, value: Any) -> str:
        """Returns what is wrong with a value, as the middle of a sentence; empty: nothing."""
        if value is None and self.or_none:
            return ""
        if self.several:
            if not isinstance(value, (tuple, list)):
                return "is no tuple"
            one = self._replace(several=False, or_none=False)
            return next((f"holds one that {w}" for w in map(one.wrong, value) if w), "")
        return self._wrong_one(value)

    def _wrong_one(self, value: Any) -> str:
        """Returns what is wrong with a value that is not several, likewise."""
        if isinstance(value, bool) and self.kind is bool:
            return ""
        if isinstance(value, str) and self.kind is str:
            return "is none of them" if self.choices and value not in self.choices else ""
        number = isinstance(value, int) or (isinstance(value, float) and self.kind is float)
        if not number or isinstance(value, bool) or self.kind in (bool, str):
            return "is of another type"
        if not math.isfinite(value):
            return "is no finite number"
        low = value <= self.least if self.above else value < self.least
        return "is out of range" if low or value > self.most else ""


def whole(least: int, most: int, why: str, **more: Any) -> Value:
    """Returns the row of a whole number."""
    return Value(int, least, most, why, **more)


def number(least: float, most: float, why: str, **more: Any) -> Value:
    """Returns the row of a number."""
    return Value(float, least, most, why, **more)


def text(why: str, **more: Any) -> Value:
    """Returns the row of a text."""
    return Value(str, why=why, **more)


def choice(*choices: str, **more: Any) -> Value:
    """Returns the row of one of a few texts."""
    return Value(str, choices=choices, **more)


FLAG = Value(bool)


def check(
    found: Mapping[str, Any], table: Mapping[str, Value | None], flag: Callable[[str], str]
) -> None:
    """Refuses a value that is out of its row's range; names without a row pass.

    Args:
      found: name to value.
      table: name to row, or to None.
      flag: name to how the user writes it, such as `--config.train.num_steps`.

    Raises:
      UserError: names the value and what to give.
    """
    for name, value in found.items():
        row = table.get(name)
        if row is None:
            continue
        wrong = row.wrong(value)
        if wrong:
            raise registry.UserError(f"{flag(name)}={value!r} {wrong}: give {row.wanted}.")


def nearest(name: str, known: list[str]) -> str:
    """Returns the name that was meant, as the end of a sentence; empty where none is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}" if close else ""


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of nested mappings by dotted name; an empty mapping has none."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found
