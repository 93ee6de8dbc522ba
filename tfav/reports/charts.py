"""Curves as SVG inside a page: coloured by its style sheet, with their numbers as a table."""

import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_WIDTH, _HEIGHT = 360, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 10, 40  # margins
_MAX_POINTS = 250


class Line(NamedTuple):
    """One curve.

    Attributes:
      label: for the legend.
      style: CSS classes, which give colour and dashes.
      x: [P] float64, ascending.
      y: [P] float64 in percent.
      band: (low [P], high [P]) in percent, an interval to shade; None without one.
      dots: mark every point.
    """

    label: str
    style: str
    x: np.ndarray
    y: np.ndarray
    band: tuple[np.ndarray, np.ndarray] | None = None
    dots: bool = False


def figure(
    title: str, x_label: str, y_label: str, lines: Sequence[Line], ticks: Sequence[float]
) -> str:
    """Returns an HTML `<figure>`: the curves, a legend, and a table of their values at the ticks.

    Args:
      title: of the figure.
      x_label: of the axis.
      y_label: of the axis, which goes from 0 to 100.
      lines: at least one; the first point of a line is its least x.
      ticks: at least one, on the x axis, ascending; the axis spans them.
    """
    low, high = min(ticks), max(ticks)
    span = (high - low) or 1.0

    def place(x, y) -> str:
        across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * (x - low) / span
        down = _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - y / 100)
        return f"{across:.1f},{down:.1f}"

    parts = []
    for y in range(0, 101, 20):
        start, end = place(low, y).split(","), place(high, y).split(",")
        parts.append(f'<path class="grid" d="M{start[0]},{start[1]}H{end[0]}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{float(start[1]) + 4:.1f}" class="end">{y}</text>')
    for x in ticks:
        across, down = place(x, 0).split(",")
        parts.append(f'<path class="grid" d="M{across},{_TOP}V{down}"/>')
        parts.append(f'<text x="{across}" y="{float(down) + 16:.1f}" class="mid">{x:g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 5}" class="mid">{html.escape(x_label)}</text>')
    parts.append(
        f'<text transform="translate(11,{(_HEIGHT - _BOTTOM + _TOP) / 2}) rotate(-90)" '
        f'class="mid">{html.escape(y_label)}</text>'
    )
    for line in lines:
        kept = _kept(len(line.x))
        points = [place(x, y) for x, y in zip(line.x[kept], line.y[kept])]
        if line.band:
            there = [place(x, y) for x, y in zip(line.x[kept], line.band[0][kept])]
            back = [place(x, y) for x, y in zip(line.x[kept], line.band[1][kept])][::-1]
            parts.append(f'<path class="band {line.style}" d="M{"L".join(there + back)}Z"/>')
        parts.append(f'<path class="line {line.style}" d="M{"L".join(points)}"/>')
        if line.dots:
            spots = (point.split(",") for point in points)
            parts += [
                f'<circle class="dot {line.style}" cx="{x}" cy="{y}" r="3"/>' for x, y in spots
            ]
    summary = html.escape(f"{title}: {y_label} over {x_label}. The table below has the numbers.")
    keys = "".join(
        f'<li><svg viewBox="0 0 30 8" aria-hidden="true"><path class="line {line.style}" '
        f'd="M1,4H29"/></svg>{html.escape(line.label)}</li>'
        for line in lines
    )
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{summary}">'
        f'{"".join(parts)}</svg><ul class="legend">{keys}</ul>'
        f"<details><summary>As a table</summary>{_table(title, x_label, lines, ticks)}</details>"
        "</figure>"
    )


def _kept(num_points: int) -> np.ndarray:
    """Returns which points to draw: all, or evenly spread with both ends."""
    return np.unique(np.linspace(0, num_points - 1, min(num_points, _MAX_POINTS)).astype(int))


def _table(title: str, x_label: str, lines: Sequence[Line], ticks: Sequence[float]) -> str:
    heads = "".join(f'<th scope="col">{html.escape(line.label)}</th>' for line in lines)
    rows = []
    for x in ticks:
        values = [f"<td>{np.interp(x, line.x, line.y):.1f}</td>" for line in lines]
        rows.append(f'<tr><th scope="row">{x:g}</th>{"".join(values)}</tr>')
    name = html.escape(f"{title}, numbers")
    return (
        f'<div class="scroll" role="region" aria-label="{name}" tabindex="0">'
        f'<table><thead><tr><th scope="col">{html.escape(x_label)}</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
