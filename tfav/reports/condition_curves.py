"""Curves of what becomes of pairs where clips are cut short or noisy."""

from collections.abc import Sequence

import numpy as np

from tfav.evaluation import listening_conditions
from tfav.evaluation.result import Result
from tfav.reports import curves

# Name to title, axis and entry of the details that the axis shows.
_CHARTS = {
    "clip_length": ("Pairs by clip length", "seconds of each clip", listening_conditions.SECONDS),
    "noise": ("Pairs by noise", "signal-to-noise ratio (dB)", listening_conditions.SNR_DB),
}
_LINES = ((listening_conditions.AUC, "tab:blue"), (listening_conditions.EER, "tab:orange"))


def charts(results: Sequence[Result]) -> dict[str, curves.Chart]:
    """Returns charts of AUC and EER of one tag, each where there are two points of it.

    Args:
      results: Results of `listening_conditions.evaluate`.
    """
    found = {}
    for name, (title, x_label, key) in _CHARTS.items():
        lines = []
        ticks: list[float] = []
        for metric, colour in _LINES:
            points = [r for r in results if r.metric.key == metric.key and key in r.details]
            points.sort(key=lambda r: r.details[key])
            ticks = [r.details[key] for r in points]
            lines.append(_curve(metric.name, ticks, points, colour))
        if len(ticks) > 1:
            ends = np.array([ticks[0], ticks[-1]])
            chance = {"color": "grey", "linewidth": 1.0, "linestyle": ":"}
            lines.append(curves.Curve("chance", ends, np.array([50.0, 50.0]), chance))
            heading = f"{title}, 95 % over identities"
            found[name] = curves.Chart(heading, x_label, "%", lines, ticks)
    return found


def _curve(name: str, x: Sequence[float], points: Sequence[Result], colour: str) -> curves.Curve:
    style = {"color": colour, "marker": "o", "markersize": 3}
    ends = [(r.low, r.high) for r in points if r.low is not None and r.high is not None]
    band = None
    if ends and len(ends) == len(points):
        low, high = 100 * np.array(ends).T
        band = low, high
    y = np.array([100 * r.value for r in points])
    return curves.Curve(name, np.array(x, float), y, style, band)
