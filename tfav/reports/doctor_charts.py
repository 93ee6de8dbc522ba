"""Charts of a data set's check: histograms and bars, one colour and hatch per split."""

from typing import TYPE_CHECKING

import numpy as np

from tfav.data.prepare.doctor.finding import Chart
from tfav.reports import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HATCHES = ("", "///", "xxx", "---")  # dots would make a drawing ten times as large
_LONGEST = 40  # characters of the name of a bar


def draw(chart: Chart) -> "Figure":
    """Returns a chart as a figure of matplotlib."""
    if chart.edges:
        drawn = drawing.canvas(6.0, 2.8)
        axes = drawn.add_subplot(xlabel=chart.x_label, ylabel=chart.counted)
        _histogram(axes, chart)
    else:
        drawn = drawing.canvas(6.0, 0.9 + 0.3 * len(chart.names))
        axes = drawn.add_subplot(xlabel=chart.counted)
        _bars(axes, chart)
    axes.spines[["top", "right"]].set_visible(False)
    if len(chart.series) > 1 or chart.mark is not None:
        drawn.legend(loc="outside upper right", ncols=8, fontsize=8, frameon=False)
    return drawn


def _style(number: int) -> dict:
    return {
        "color": f"C{number % 10}",
        "alpha": 0.85,
        "hatch": _HATCHES[number % len(_HATCHES)],
        "edgecolor": "white",
        "linewidth": 0.4,
    }


def _histogram(axes: "Axes", chart: Chart) -> None:
    from matplotlib import ticker

    edges = np.asarray(chart.edges, float)
    below = np.zeros(len(edges) - 1)
    for number, (name, counts) in enumerate(chart.series.items()):
        label = drawing.label(name)
        axes.bar(
            edges[:-1], counts, np.diff(edges), below, align="edge", label=label, **_style(number)
        )
        below = below + np.asarray(counts)
    axes.set_xscale("log" if chart.logarithmic else "linear")
    axes.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    if chart.logarithmic:
        axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        if edges[-1] < 100 * edges[0]:
            axes.xaxis.set_minor_formatter(ticker.LogFormatter(minor_thresholds=(2, 0.5)))
    if chart.mark is not None:
        axes.axvline(
            chart.mark, color="tab:red", linestyle="--", linewidth=1.2, label=f"{chart.mark:g}"
        )


def _bars(axes: "Axes", chart: Chart) -> None:
    from matplotlib import ticker

    places = np.arange(len(chart.names))
    left = np.zeros(len(places))
    for number, (name, counts) in enumerate(chart.series.items()):
        axes.barh(places, counts, 0.7, left, label=drawing.label(name), **_style(number))
        left = left + np.asarray(counts)
    axes.set_yticks(places, [drawing.label(name, _LONGEST) for name in chart.names], fontsize=8)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes.invert_yaxis()
