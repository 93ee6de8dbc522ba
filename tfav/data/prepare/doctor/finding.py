"""What the doctor says: one finding per question that is asked of a data set."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

STOPS, MISLEADS, NOTE, GOOD = "stops", "misleads", "note", "good"
# Worst first, with what each means.
LEVELS = {
    STOPS: "nothing can be trained on this before it is corrected",
    MISLEADS: "training goes on, and what it learns or what is measured is not what one expects",
    NOTE: "worth to know",
    GOOD: "in order",
}


class Chart(NamedTuple):
    """Bars: a histogram where there are edges, else one group of bars per name.

    Attributes:
      x_label: Label of the axis.
      series: name, such as a split, to the count of each bar.
      edges: of the bars, ascending, one more than bars; empty: the bars have names.
      names: of the bars.
      mark: where on the axis the threshold is; None: there is none.
      logarithmic: whether the axis of a histogram is.
      counted: Label of the other axis, what is counted.
    """

    x_label: str
    series: Mapping[str, Sequence[int]]
    edges: Sequence[float] = ()
    names: Sequence[str] = ()
    mark: float | None = None
    logarithmic: bool = False
    counted: str = "rows"


@dataclasses.dataclass(frozen=True)
class Finding:
    """An answer.

    Attributes:
      level: a key of `LEVELS`.
      title: what it is about, in a few words.
      found: what was found, in whole sentences.
      advice: what to do about it, in a whole sentence; empty where nothing is to be done.
      count: rows, identities or files that it concerns.
      rows: some of them, worst first: name, and what of it.
      chart: a drawing, if one helps.
    """

    level: str
    title: str
    found: str
    advice: str = ""
    count: int = 0
    rows: Sequence[tuple[str, str]] = ()
    chart: Chart | None = None

    def to_json(self, name: str) -> dict[str, Any]:
        """Returns it for JSON, with the name of its row of the table."""
        chart = self.chart and self.chart._asdict()
        return {
            "name": name,
            **dataclasses.asdict(self),
            "chart": chart,
            "rows": [*map(list, self.rows)],
        }


def one(
    title: str, count: int, unit: str, found: str, otherwise: str, advice: str, **more: Any
) -> Finding:
    """Returns a finding that misleads where something was found, or else is in order.

    Args:
      title: Title of it.
      count: how many were found.
      unit: of what, in the plural, such as `files` or `of 30 clips`.
      found: what is true of them, behind count and unit; from a colon on it is a clause of its own.
      otherwise: the whole sentence where there are none.
      advice: what to do.
      **more: further fields, such as `level` where it is not `MISLEADS`.
    """
    if not count:
        return Finding(GOOD, title, otherwise, chart=more.get("chart"))
    unit = unit.removesuffix("s") if count == 1 and not unit.startswith("of ") else unit
    return Finding(
        **{"level": MISLEADS, "count": count, **more},
        title=title,
        found=f"{count} {unit}{'' if found.startswith(':') else ' '}{found}",
        advice=advice,
    )
