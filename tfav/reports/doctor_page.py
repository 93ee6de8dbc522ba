"""The page of a data set's check: what was found, how bad it is, and what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfav.data.prepare.doctor.finding import GOOD, LEVELS, Chart, Finding
from tfav.reports import doctor_charts, drawing, inline, names, page, rendering

_LONGEST = 300  # characters of a cell: an id may be as long as it likes
_NAMES = {"stops": "stops a training", "misleads": "misleads", "note": "to know"}
_TOO_LARGE = "the page of the check"


class Cell(NamedTuple):
    """A chart as a page shows it.

    Attributes:
      source: the drawing as a data URI.
      alt: the drawing in words.
      head: head of its table.
      rows: of its table.
    """

    source: str
    alt: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Shown(NamedTuple):
    """A finding as a page shows it; see `Finding`."""

    name: str
    level: str
    badge: str
    title: str
    found: str
    advice: str
    rows: Sequence[tuple[str, str]]
    more: int
    chart: Cell | None


def build(
    report: Mapping[str, Any], findings: Mapping[str, Finding], frame: page.Frame, people: str
) -> str:
    """Returns the page.

    Args:
      report: what `Tally.report` says.
      findings: by name, in the order to show.
      frame: what stands round them.
      people: what a label is, in the plural.

    Raises:
      UserError: the page is larger than allowed.
    """
    shown = [_shown(name, finding) for name, finding in findings.items()]
    bad = [one for one in shown if one.level != GOOD]
    text = rendering.render(
        "doctor.html",
        frame,
        [],
        tiles=[],
        verdict=verdict(findings),
        splits=report["splits"],
        columns=list(next(iter(report["splits"].values()), {})),
        people=people,
        bad=bad,
        good=[one for one in shown if one.level == GOOD],
        about={
            **frame.about,
            **{_NAMES[level]: meaning for level, meaning in LEVELS.items() if level in _NAMES},
        },
    )
    return rendering.fitting([text], frame.max_megabytes, _TOO_LARGE)


def verdict(findings: Mapping[str, Finding]) -> str:
    """Returns in one sentence how many findings there are of each level."""
    count = {level: sum(f.level == level for f in findings.values()) for level in LEVELS}
    stops = f"{count['stops']} findings stop a training" if count["stops"] else ""
    stops = stops.replace("1 findings stop", "1 finding stops") or "Nothing stops a training"
    return (
        f"{stops}; {count['misleads']} would mislead, {count['note']} to know, {count[GOOD]} in "
        "order."
    )


def _shown(name: str, finding: Finding) -> Shown:
    rows = [(_short(row), _short(what)) for row, what in finding.rows]
    return Shown(
        name,
        finding.level,
        _NAMES.get(finding.level, ""),
        finding.title,
        _short(finding.found, 4 * _LONGEST),
        finding.advice,
        rows,
        max(0, finding.count - len(rows)),
        finding.chart and _cell(finding.title, finding.chart),
    )


def _short(text: str, longest: int = _LONGEST) -> str:
    """Returns a text as a page can hold it: no longer than a cell, and encodable."""
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return names.encodable(text)


def _cell(title: str, chart: Chart) -> Cell:
    names = list(chart.names)
    if chart.edges:
        ends = [f"{edge:,.0f}" if abs(edge) >= 100 else f"{edge:.3g}" for edge in chart.edges]
        names = [f"{low} to {high}" for low, high in zip(ends, ends[1:])]
    rows = [
        [_short(name), *map(str, counts)]
        for name, *counts in zip(names, *chart.series.values())
        if any(counts)
    ]
    alt = f"{title}: {chart.counted} by {chart.x_label}. The table below has the numbers."
    drawn = drawing.svg(doctor_charts.draw(chart))
    head = [chart.x_label, *map(_short, chart.series)]
    return Cell(inline.data_uri("image/svg+xml", drawn), alt, head, rows)
