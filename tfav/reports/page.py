"""What pages are made of: headlines, tables, drawings, and what stands round them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tfav.evaluation import pair_errors
from tfav.evaluation.metric import Metric
from tfav.evaluation.paired_runs import Difference
from tfav.evaluation.result import Cells, Result
from tfav.reports import curves, drawing, inline, names, tables


class Comparison(NamedTuple):
    """A run beside another one.

    Attributes:
      name: Name of the other run.
      found: how far this one is from it.
      left_out: figures of both that are over different trials, and so not compared.
    """

    name: str
    found: Sequence[Difference]
    left_out: int = 0


class Tile(NamedTuple):
    """A headline: one figure with its interval and its chance level.

    Attributes:
      label: what it is of.
      result: the figure.
      figure: what to call it before the value, such as `mAP`; empty where the label says it.
      style: CSS class.
    """

    label: str
    result: Result
    figure: str = ""
    style: str = ""

    @property
    def verdict(self) -> str:
        """Says what a reader must not overlook; empty where there is nothing."""
        beats = self.result.beats_chance
        side = "below" if self.result.metric.lower_is_better else "above"
        if beats is None:
            silent = self.result.chance is None or self.result.metric.neutral
            return "" if silent else "no interval"
        return "" if beats else f"not {side} chance"


class Picture(NamedTuple):
    """A drawing with what is seen in it.

    Attributes:
      heading: Heading of its section.
      content: an SVG or PNG file.
      meaning: what it shows, and what its colours mean.
      words: what is seen in it.
    """

    heading: str
    content: bytes
    meaning: str = ""
    words: str = ""

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        png = self.content.startswith(b"\x89PNG")
        return inline.data_uri("image/png" if png else "image/svg+xml", self.content)

    @property
    def alt(self) -> str:
        """The picture for who cannot see it."""
        return " ".join(part for part in (f"{self.heading}.", self.meaning, self.words) if part)


class Grid(NamedTuple):
    """A table of figures.

    Attributes:
      caption: above it.
      columns: heads, of three cells each: value with interval, chance, trials.
      rows: name of a figure, and its cells by column, None where there is no figure.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cells | None]]]


class Errors(NamedTuple):
    """How often a threshold errs, as a page shows it.

    Attributes:
      name: of the threshold, or of the group of pairs that the shipped one is told of.
      tag: which part of the data.
      threshold: the score from which a pair is accepted.
      far: wrong pairs accepted; None where nobody counted.
      frr: right pairs refused; likewise.
    """

    name: str
    tag: str
    threshold: str
    far: Cells | None
    frr: Cells | None


class Decided(NamedTuple):
    """How a run decides: thresholds and their errors, and what becomes of short and noisy clips.

    Attributes:
      results: the figures.
      pictures: reliability diagrams.
      charts: curves.
    """

    results: Sequence[Result]
    pictures: Sequence[Picture]
    charts: Sequence[curves.Chart]

    @property
    def errors(self) -> list[Errors]:
        """The rows of error rates, as they were measured."""
        rows: dict[tuple[str, str], dict[str, Result]] = {}
        for r in self.results:
            if r.metric in pair_errors.METRICS:
                rows.setdefault((r.direction, r.tag), {})[r.metric.key] = r
        return [
            Errors(
                *place,
                f"{next(iter(of.values())).threshold or 0.0:.3f}",
                *(of[m.key].cells() if m.key in of else None for m in pair_errors.METRICS),
            )
            for place, of in rows.items()
        ]

    @property
    def grids(self) -> "list[Grid]":
        """The other figures as tables."""
        return grids([r for r in self.results if r.metric not in pair_errors.METRICS])

    @property
    def facts(self) -> dict[str, str]:
        """What there is to say of the figures."""
        return facts(self.results)


class Frame(NamedTuple):
    """What stands round the content of every page.

    Attributes:
      title: Title of the page.
      about: facts to print: name -> text.
      comparison: Comparison with another run, if any.
      max_megabytes: the page is no larger.
      media: whether the page may show and play items of the data, and name them.
      pictures: drawings that every kind of page ends with, such as how training went.
      decided: what is known of how the run decides, if anything.
    """

    title: str
    about: Mapping[str, str] = {}
    comparison: Comparison | None = None
    max_megabytes: float = 20.0
    media: bool = True
    pictures: Sequence["Picture"] = ()
    decided: "Decided | None" = None


def grids(results: Sequence[Result]) -> list[Grid]:
    """Returns the figures as tables: directions, or else tags, stand beside each other."""
    found = []
    of_lists = [r for r in results if r.direction in names.LONG]
    for tag, stratum in dict.fromkeys((r.tag, r.stratum) for r in of_lists):
        block = [r for r in of_lists if (r.tag, r.stratum) == (tag, stratum)]
        rows = []
        for metric, n in tables.order(block):
            by_direction = {r.direction: r.cells() for r in block if (r.metric, r.n) == (metric, n)}
            rows.append((_row_name(metric.called(n), metric), [*map(by_direction.get, names.LONG)]))
        caption = f"{tag}, {names.stratum(stratum)} (%)"
        found.append(Grid(caption, list(names.LONG.values()), rows))
    others = [r for r in results if r.direction not in names.LONG]
    tags = list(dict.fromkeys(r.tag for r in others))
    lines: dict[tuple[tuple, str], dict[str, Cells]] = {}
    for metric, n in tables.order(others):
        for r in others:
            if (r.metric, r.n) == (metric, n):
                name = f"{_row_name(r.name, metric)}: {r.direction}"
                lines.setdefault((r.key[1:], name), {})[r.tag] = r.cells()
    if lines:
        shown = [(name, [*map(cells.get, tags)]) for (_, name), cells in lines.items()]
        found.append(Grid("%, where no other unit is named", tags, shown))
    return found


def _row_name(name: str, metric: Metric) -> str:
    return f"{name}, lower is better" if metric.lower_is_better else name


def facts(results: Sequence[Result]) -> dict[str, str]:
    """Returns what a page says about its figures: intervals, definitions, notes."""
    notes = dict.fromkeys(note for r in results for note in r.notes)
    intervals = tables.interval_note(results)
    return {
        **({"Intervals": intervals} if intervals else {}),
        **{names.sentence(word): text for word, text in tables.definitions(results).items()},
        **({"To note": " ".join(notes)} if notes else {}),
    }


def differs(difference: Difference) -> str:
    """Returns in words what a difference says."""
    words = {1: "better", -1: "worse", 0: "not told apart", None: "no interval"}
    if difference.result.metric.neutral:
        return {**words, 1: "higher", -1: "lower"}[difference.higher]
    return words[difference.better]


def chart_source(chart: curves.Chart) -> str:
    """Returns a chart as a data URI of SVG."""
    return inline.data_uri("image/svg+xml", drawing.svg(chart.draw(titled=False)))
