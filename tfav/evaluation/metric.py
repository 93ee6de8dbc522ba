"""What a measured number is called, in which unit it stands, and what it means."""

from typing import Any, NamedTuple

PERCENT = "%"


class Metric(NamedTuple):
    """One kind of figure.

    It travels with every `result.Result`: whoever prints one needs no table of all there are.

    Attributes:
      key: its name in JSON, unique within a protocol.
      name: what a reader calls it; `{n}` stands for the number of candidates.
      unit: `%` (a share, shown times 100), another unit, or empty for a plain number.
      digits: after the decimal point, as it is shown.
      lower_is_better: whether less of it is better.
      short: its name within a sentence; empty: the name.
      definition: sentences that say what it is; empty where the name says it.
      of_one_run: whether it says something of one run alone, such as its error rate at a threshold
        of its own: variants are not compared by it.
      neutral: whether neither more nor less of it is better.
    """

    key: str
    name: str
    unit: str = PERCENT
    digits: int = 1
    lower_is_better: bool = False
    short: str = ""
    definition: str = ""
    of_one_run: bool = False
    neutral: bool = False

    @property
    def scale(self) -> float:
        """What a value is multiplied with to be shown."""
        return 100.0 if self.unit == PERCENT else 1.0

    @property
    def better(self) -> int:
        """1 where more of it is better, -1 where less is, 0 where neither is."""
        return 0 if self.neutral else -1 if self.lower_is_better else 1

    @property
    def word(self) -> str:
        """Its name within a sentence."""
        return self.short or self.name

    def number(self, value: float | None, sign: str = "") -> str:
        """Returns a value as it is shown, without its unit; `-` for None."""
        return "-" if value is None else f"{self.scale * value:{sign}.{self.digits}f}"

    def interval(self, low: float | None, high: float | None) -> str:
        """Returns an interval as it is shown, such as `[85.2, 88.2]`; empty where there is none."""
        return "" if low is None else f"[{self.number(low)}, {self.number(high)}]"

    def chance(self, value: float | None) -> str:
        """Returns a chance level as it is shown: two digits at least, for it may be small."""
        return self._replace(digits=max(2, self.digits)).number(value)

    def called(self, n: int | None) -> str:
        """Returns the name for `n` candidates; None where there is no such number."""
        return self.name.replace("{n}", str(n))

    def to_json(self) -> dict[str, Any]:
        """Returns the fields that differ from their defaults."""
        given = self._asdict()
        return {k: v for k, v in given.items() if v != self._field_defaults.get(k)}
