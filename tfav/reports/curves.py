"""Curves of figures on query lists: ROC, recall@k and 1:N matching.

A curve is drawn in one place, by matplotlib: as a PNG among the plots of a run and as an SVG on its
page, which also has its numbers as a table.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfav.annotations import lists
from tfav.evaluation import metrics
from tfav.evaluation.result import Result
from tfav.reports import drawing, names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scores = Mapping[str, tuple[np.ndarray, np.ndarray]]

_COLOURS = {"v2f": "tab:blue", "f2v": "tab:orange"}
_DASHES = dict(zip(lists.STRATA, ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))))
_CHANCE = {"color": "grey", "linewidth": 1.0, "linestyle": ":"}


class Curve(NamedTuple):
    """One curve.

    Attributes:
      label: Name in the legend.
      x: [P] float64, ascending.
      y: [P] float64 in percent.
      style: how matplotlib draws it.
      band: (low [P], high [P]) in percent, an interval to shade; None without one.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    style: Mapping[str, Any]
    band: tuple[np.ndarray, np.ndarray] | None = None


class Chart(NamedTuple):
    """Curves in one pair of axes.

    Attributes:
      title: Title of the chart.
      x_label: Label of the axis.
      y_label: Label of the axis, which goes from 0 to 100.
      curves: at least one.
      ticks: on the x axis, ascending; the table has the values there.
      equal_error: whether to draw where false acceptances and rejections are equal.
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    ticks: Sequence[float]
    equal_error: bool = False

    def draw(self, titled: bool = True) -> "Figure":
        """Returns the chart as a figure of matplotlib.

        Args:
          titled: whether the title is drawn, too.
        """
        drawn = drawing.canvas(4.8, 4.2)
        axes = drawn.add_subplot(xlabel=self.x_label, ylabel=self.y_label)
        axes.set_title(self.title if titled else "")
        axes.grid(alpha=0.3)
        for curve in self.curves:
            axes.plot(curve.x, curve.y, label=curve.label, **curve.style)
            if curve.band is not None:
                axes.fill_between(curve.x, *curve.band, color=curve.style["color"], alpha=0.12)
        if self.equal_error:
            axes.plot([0, 100], [100, 0], color="grey", linewidth=0.5)
            axes.annotate("equal error", (64, 36), (4, 2), textcoords="offset points", fontsize=8)
            axes.set(aspect="equal", xlim=(-1, 101))
        axes.set(ylim=(-1, 101), xticks=list(self.ticks))
        axes.legend(fontsize=8)
        return drawn

    def table(self) -> list[tuple[str, list[str]]]:
        """Returns for each tick its name and the value of each curve there, `-` beyond its ends."""
        rows = []
        for x in self.ticks:
            ends = {"left": np.nan, "right": np.nan}
            values = [np.interp(x, curve.x, curve.y, **ends) for curve in self.curves]
            rows.append((f"{x:g}", ["-" if np.isnan(v) else f"{v:.1f}" for v in values]))
        return rows


def pictures(results: Sequence[Result], scores: Scores) -> dict[str, bytes]:
    """Returns PNGs `roc` and `matching` of one tag, each if there is a curve to draw."""
    charts = {"roc": roc(results, scores), "matching": matching(results)}
    return {name: drawing.png(chart.draw()) for name, chart in charts.items() if chart}


def roc(results: Sequence[Result], scores: Scores) -> Chart | None:
    """Returns the ROC of every verification list of one tag; None without one.

    Args:
      results: Results of `query_lists.evaluate`.
      scores: Scores of `query_lists.verification_scores`.
    """
    found = []
    for result in results:
        scored = scores.get(result.list_name or "")
        if result.metric.key == "auc" and scored is not None:
            wrong, right, _ = metrics.roc_curve(*scored)
            label = f"{_label(result.direction, result.stratum)}: AUC {result.cells().value} %"
            found.append(Curve(label, 100 * wrong, 100 * right, _style(result)))
    if not found:
        return None
    ends = np.array([0.0, 100.0])
    found.append(Curve("chance", ends, ends, _CHANCE))
    axes = "wrong pairs accepted (%)", "right pairs accepted (%)"
    return Chart("Verification (ROC)", *axes, found, range(0, 101, 20), equal_error=True)


def matching(results: Sequence[Result]) -> Chart | None:
    """Returns the accuracy of 1:N matching of one tag over N; None without two of them."""
    numbered = [(r.n, r) for r in results if r.metric.key == "accuracy" and r.n is not None]
    numbered.sort(key=lambda pair: pair[0])
    sizes = sorted({n for n, _ in numbered})
    if len(sizes) < 2:
        return None
    found = []
    for stratum, direction in dict.fromkeys((r.stratum, r.direction) for _, r in numbered):
        line = [(n, r) for n, r in numbered if (r.stratum, r.direction) == (stratum, direction)]
        x, y = np.array([(n, 100 * r.value) for n, r in line], float).T
        ends = [
            (100 * r.low, 100 * r.high) for _, r in line if r.low is not None and r.high is not None
        ]
        band = None
        if len(ends) == len(line):
            low, high = np.array(ends).T
            band = low, high
        style = {**_style(line[0][1]), "marker": "o", "markersize": 3}
        found.append(Curve(_label(direction, stratum), x, y, style, band))
    x = np.array(sizes, float)
    found.append(Curve("chance", x, 100 / x, {**_CHANCE, "marker": "."}))
    axes = "candidates, N", "right choice (%)"
    return Chart("1:N matching, 95 % over identities", *axes, found, sizes)


def recall(lines: Sequence[tuple[str, str, np.ndarray, np.ndarray]]) -> Chart:
    """Returns how many probes have a match among their k closest items (CMC).

    Args:
      lines: of each retrieval, at least one: direction, stratum, recall [K] and that of chance [K],
        in [0, 1].
    """
    found, luck = [], {}
    for direction, stratum, value, chance in lines:
        k, name = np.arange(1, len(value) + 1, dtype=float), _label(direction, stratum)
        style = _style_of(direction, stratum)
        found.append(Curve(name, k, 100 * value, style))
        drawn = {**_CHANCE, "color": style["color"]}
        luck[tuple((100 * chance).round(1))] = Curve(f"chance, {name}", k, 100 * chance, drawn)
    if len(luck) == 1:  # galleries alike: one line serves all
        luck = {(): next(iter(luck.values()))._replace(label="chance", style=_CHANCE)}
    last = max(len(value) for _, _, value, _ in lines)
    ticks = [k for k in (1, 5, 10, 20, 30, 40) if k < last] + [last]
    axes = "closest items looked at, k", "probes with a match among them (%)"
    return Chart("Retrieval (CMC)", *axes, [*found, *luck.values()], ticks)


def _label(direction: str, stratum: str) -> str:
    return f"{names.LONG.get(direction, direction)}, {names.stratum(stratum)}"


def _style(result: Result) -> dict[str, object]:
    return _style_of(result.direction, result.stratum)


def _style_of(direction: str, stratum: str) -> dict[str, object]:
    """Colour tells the direction, dashes the stratum."""
    return {"color": _COLOURS.get(direction, "tab:green"), "linestyle": _DASHES.get(stratum, "-.")}
