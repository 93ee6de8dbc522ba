"""Curves of the accuracy of a classifier against the share of rows that lack a modality."""

from collections.abc import Sequence

import numpy as np

from tfav.evaluation import missing_modalities
from tfav.evaluation.result import Result
from tfav.reports import curves

HEADING = "Missing modalities"
_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def chart(results: Sequence[Result]) -> curves.Chart:
    """Returns a chart with one curve per modality that is lost, and the chance level.

    Args:
      results: Results of `missing_modalities.evaluate`, of one tag.
    """
    points = [r for r in results if r.metric.key == missing_modalities.ACCURACY.key]
    lines = []
    for i, lost in enumerate(dict.fromkeys(r.details[missing_modalities.LOST] for r in points)):
        its = [r for r in points if r.details[missing_modalities.LOST] == lost]
        x = np.array([100 * r.details[missing_modalities.SHARE] for r in its])
        y = np.array([100 * r.value for r in its])
        ends = [(r.low, r.high) for r in its if r.low is not None and r.high is not None]
        band = None
        if len(ends) == len(its):
            low, high = 100 * np.array(ends).T
            band = low, high
        style = {"color": _COLOURS[i % len(_COLOURS)], "marker": "o", "markersize": 3}
        lines.append(curves.Curve(f"without {lost}", x, y, style, band))
    chance = {"color": "grey", "linewidth": 1.0, "linestyle": ":"}
    level = np.full(2, 100 * (points[0].chance or 0.0))
    lines.append(curves.Curve("chance", np.array([0.0, 100.0]), level, chance))
    ticks = [100 * share for share in missing_modalities.SHARES]
    heading = f"{HEADING}, 95 % over rows"
    return curves.Chart(heading, "rows that lack it (%)", "accuracy (%)", lines, ticks)
