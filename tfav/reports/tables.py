"""Measured figures as text: one run, the spread of several, and how far apart two of them are."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from tfav.evaluation import metric as metric_lib
from tfav.evaluation.metric import Metric
from tfav.evaluation.paired_runs import Difference
from tfav.evaluation.result import Key, Result
from tfav.reports import names

_NAME_WIDTH, _CELL_WIDTH = 26, 37


def order(results: Sequence[Result]) -> list[tuple[Metric, int | None]]:
    """Returns the metrics there are with their n, as they were measured, lesser n first."""
    found = dict.fromkeys((r.metric, r.n) for r in results)
    place = {metric: i for i, metric in enumerate(dict.fromkeys(m for m, _ in found))}
    return sorted(found, key=lambda row: (place[row[0]], row[1] or 0))


def definitions(results: Sequence[Result]) -> dict[str, str]:
    """Returns what the metrics that need a word are: name within a sentence -> sentences."""
    return {m.word: m.definition for m, _ in order(results) if m.definition}


def text_table(results: Sequence[Result]) -> str:
    """Returns a fixed-width table in percent: a block per tag and stratum, a row per metric.

    Voices and faces have a column per direction, each cell `value [low, high] chance trials`; other
    directions have rows of their own. Definitions, and what there is to note, stand below.
    """
    lines = []
    of_lists = [r for r in results if r.direction in names.SHORT]
    for tag, stratum in dict.fromkeys((r.tag, r.stratum) for r in of_lists):
        block = [r for r in of_lists if (r.tag, r.stratum) == (tag, stratum)]
        title = f"{tag}, {names.stratum(stratum)} (%)"
        heads = (
            f"{head + ' [95 %]':<20} {'chance':>6} {'trials':>7}" for head in names.SHORT.values()
        )
        lines.append(f"{title:<{_NAME_WIDTH}}" + "".join(f"{h:<{_CELL_WIDTH}}" for h in heads))
        for metric, n in order(block):
            cells = {r.direction: r for r in block if (r.metric, r.n) == (metric, n)}
            line = f"{metric.called(n):<{_NAME_WIDTH}}"
            found = (_cell(cells.get(direction)) for direction in names.SHORT)
            lines.append(line + "".join(f"{cell:<{_CELL_WIDTH}}" for cell in found))
        lines.append("")
    others = [r for r in results if r.direction not in names.SHORT]
    for tag in dict.fromkeys(r.tag for r in others):
        block = [r for r in others if r.tag == tag]
        called = {id(r): f"{r.name}, {r.direction}" for r in block}
        width = max(_NAME_WIDTH, 2 + max(map(len, called.values())))
        title = f"{tag} (%)"
        lines.append(f"{title:<{width}}{'value [95 %]':<20} {'chance':>6} {'trials':>7}")
        for metric, n in order(block):
            rows = [r for r in block if (r.metric, r.n) == (metric, n)]
            lines += [f"{called[id(r)]:<{width}}{_cell(r)}" for r in rows]
        lines.append("")
    lines += [_fill(note) for note in footnotes(results)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def interval_note(results: Sequence[Result]) -> str:
    """Returns what the intervals resample and where lower is better, one line."""
    by_unit: dict[str, dict[str, None]] = {}
    for r in results:
        if r.resampled:
            by_unit.setdefault(r.resampled, {})[r.protocol.replace("_", " ")] = None
    units = [
        unit if len(by_unit) == 1 else f"{unit} ({', '.join(protocols)})"
        for unit, protocols in by_unit.items()
    ]
    said = [f"Intervals resample {names.listed(units)}."] if units else []
    lower = list(dict.fromkeys(m.word for m, _ in order(results) if m.lower_is_better))
    if lower:
        said.append(f"Lower is better in {names.listed(lower)}.")
    return " ".join(said)


def footnotes(results: Sequence[Result]) -> list[str]:
    """Returns what stands below a table: intervals, definitions, and each note once."""
    notes = dict.fromkeys(note for r in results for note in r.notes)
    found = [interval_note(results), *definitions(results).values(), *notes]
    return [note for note in found if note]


def _fill(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    cells = result.cells()
    return f"{cells.value:>5} {cells.interval:<14} {cells.chance:>6} {cells.trials:>7}"


def spread_table(runs: Sequence[Sequence[Result]]) -> str:
    """Returns Markdown tables of several runs: the mean of each figure, its least, its greatest.

    Args:
      runs: the results of each run; only figures that all runs have are shown.
    """
    by_key = [{r.key: r for r in results} for results in runs]
    common = [r for r in runs[0] if all(r.key in of_run for of_run in by_key)]
    cells, chances = {}, {}
    for r in common:
        found = [of_run[r.key] for of_run in by_key]
        values, levels = ([getattr(f, name) for f in found] for name in ("value", "chance"))
        number = r.metric._replace(digits=min(1, r.metric.digits)).number
        if r.metric.unit != metric_lib.PERCENT:
            number = r.metric.number
        mean, least, greatest = map(number, (np.mean(values), min(values), max(values)))
        cells[r.key] = f"{mean} [{least}, {greatest}]"
        chances[r.key] = "" if None in levels else number(float(np.mean(levels)))
    title = f"%, mean of {len(runs)} runs [least, greatest]"
    return _markdown(common, title, cells, chances)


def difference_table(found: Sequence[Difference], name: str, base: str) -> str:
    """Returns Markdown tables of how far a run is from another on the same trials.

    Args:
      found: the differences.
      name: Name of the run.
      base: Name of the other run.
    """
    title = f"%, {name} less {base} [95 %, both on the same resamples]"
    return _markdown([d.result for d in found], title, {d.result.key: d.cell() for d in found})


def _markdown(
    results: Sequence[Result],
    title: str,
    cells: Mapping[Key, str],
    chances: Mapping[Key, str] | None = None,
) -> str:
    """Returns a table of voices and faces and one of all else: a row per figure.

    Args:
      results: whose names the rows and columns have.
      title: above the rows.
      cells: the text of each.
      chances: the chance level of each, a last column; None: no such column.
    """
    every = list(dict.fromkeys(r.direction for r in results))
    of_lists = list(names.SHORT) if any(d in names.SHORT for d in every) else []
    others = [d for d in every if d not in names.SHORT]
    tables = []
    for directions in filter(None, (of_lists, others)):
        heads = [title, *(names.SHORT.get(d, d) for d in directions)]
        rows: dict[tuple, dict[str, Result]] = {}
        for r in results:
            if r.direction in directions:
                rows.setdefault(r.key[:-1], {})[r.direction] = r
        lines = []
        for by_direction in rows.values():
            last = list(by_direction.values())[-1]
            place = (
                f"{last.tag}, {names.stratum(last.stratum)}" if of_lists is directions else last.tag
            )
            line = [f"{place}: {last.name}"]
            line += [cells[by_direction[d].key] if d in by_direction else "" for d in directions]
            lines.append(line if chances is None else [*line, chances[last.key]])
        heads += [] if chances is None else ["chance"]
        text = [f"| {' | '.join(line)} |" for line in (heads, *lines)]
        tables.append("\n".join([text[0], "|---" * len(heads) + "|", *text[1:]]) + "\n")
    return "\n".join(tables)
