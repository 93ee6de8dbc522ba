"""Variants of one experiment over the same seeds, side by side."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from tfav import registry
from tfav.annotations import lists
from tfav.evaluation import classification, list_tasks
from tfav.evaluation.metric import PERCENT, Metric
from tfav.evaluation.result import Result
from tfav.reports import names, tables

_STRATA = dict(zip(lists.STRATA, ("U", "G", "N", "A", "GNA")))


class _Column(NamedTuple):
    """What a column shows of a run: the mean, or the range, of a metric over directions."""

    metric: Metric
    n: int | None
    stratum: str
    directions: Sequence[str]
    is_range: bool = False

    @property
    def better(self) -> int:
        """1: higher is better, -1: lower, 0: neither is as such."""
        return 0 if self.is_range else self.metric.better


_COLUMNS = {
    f"1:2 {names.SHORT[direction]} {mark}": _Column(list_tasks.ACCURACY, 2, stratum, [direction])
    for stratum, mark in _STRATA.items()
    for direction in names.SHORT
} | {
    f"{name} {mark}": _Column(metric, None, stratum, list(names.SHORT))
    for metric, name in ((list_tasks.AUC, "AUC"), (list_tasks.MAP, "mAP"))
    for stratum, mark in _STRATA.items()
}
_GAP = "uni-modal gap"
_LEGENDS = (
    (
        _COLUMNS,
        "U: unrestricted, G: same gender (N: nationality, A: age, GNA: all three). AUC "
        "(verification) and mAP (retrieval) are means of both "
        "directions.",
    ),
    ((_GAP,), "The uni-modal gap is the best less the worst accuracy of a single modality."),
)
_LEGEND = (
    "Differences are paired by seed, ± the half width of the 95 % interval of their mean "
    "(Student's t over seeds)."
)

# tag -> column -> variant -> its figure
Figures = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]


def summarise(runs: Mapping[str, Sequence[Sequence[Result]]], baseline: str) -> Figures:
    """Returns what each variant reaches in each column, in [0, 1].

    A figure has the `values` of the seeds, their `mean`, `least` and `greatest`, the `chance`
    level (None where there is none), the mean `difference` to the baseline, seed by seed, and
    `difference_half_width` of its 95 % interval (Student's t over seeds; None for a single seed);
    `metric` with its `unit` and `digits`, and whether more of it is `better` (1), worse (-1), or
    neither (0).

    Args:
      runs: variant to the results of its seeds; all variants have the same seeds in one order.
      baseline: one of the variants.

    Raises:
      UserError: the runs have no column in common.
    """
    every = [results for of_variant in runs.values() for results in of_variant]
    figures: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    columns = _columns(every[0])
    for tag in dict.fromkeys(r.tag for r in every[0]):
        for name, column in columns.items():
            cells = {
                variant: [cell for results in seeds if (cell := _cell(results, tag, column))]
                for variant, seeds in runs.items()
            }
            if any(len(cells[variant]) < len(seeds) for variant, seeds in runs.items()):
                continue
            base = np.array([value for value, _ in cells[baseline]])
            figures.setdefault(tag, {})[name] = {
                variant: _figure(column, of_variant, base) for variant, of_variant in cells.items()
            }
    if not figures:
        raise registry.UserError(
            "the runs have no figure in common to compare: name --tags whose lists hold 1:2 "
            "matching, verification or retrieval in both directions, or splits of the data."
        )
    return figures


def _columns(results: Sequence[Result]) -> dict[str, _Column]:
    """Returns the columns of voices and faces, and those of the other directions of a run.

    Of what is fused every figure is a column, and of a single modality accuracy alone; where
    nothing is fused, every figure of every direction is.
    """
    found = dict(_COLUMNS)
    others = [r for r in results if r.direction not in names.SHORT and not r.metric.of_one_run]
    directions = list(dict.fromkeys(r.direction for r in others))
    fused = classification.FUSED in directions
    single = [direction for direction in directions if direction != classification.FUSED]
    for metric, n in tables.order(others):
        mark = " ↓" if metric.lower_is_better else ""
        is_accuracy = metric == classification.ACCURACY
        shown = [classification.FUSED, *(single if is_accuracy else ())] if fused else directions
        strata = {r.direction: r.stratum for r in others if (r.metric, r.n) == (metric, n)}
        for direction in shown:
            name = f"{direction} {metric.called(n)}{mark}"
            stratum = strata.get(direction, "unrestricted")
            found[name] = _Column(metric, n, stratum, [direction])
        if is_accuracy and fused and len(single) > 1:
            found[_GAP] = _Column(metric, n, "unrestricted", single, is_range=True)
    return found


def _cell(
    results: Sequence[Result], tag: str, column: _Column
) -> tuple[float, float | None] | None:
    """Returns a column's value and chance level in one run."""
    wanted = tag, column.metric.key, column.n, column.stratum
    found = {
        r.direction: (r.value, r.chance)
        for r in results
        if (r.tag, r.metric.key, r.n, r.stratum) == wanted and r.direction in column.directions
    }
    if len(found) != len(column.directions):
        return None
    values, chances = zip(*found.values())
    if column.is_range:
        return float(np.ptp(values)), None
    return float(np.mean(values)), None if None in chances else float(np.mean(chances))


def _figure(
    column: _Column, cells: Sequence[tuple[float, float | None]], base: np.ndarray
) -> dict[str, Any]:
    values, chances = zip(*cells)
    value = np.array(values)
    difference, half = value - base, None
    if len(value) > 1:
        error = difference.std(ddof=1) / np.sqrt(len(value))
        half = float(stats.t.ppf(0.975, len(value) - 1) * error)
    return {
        "metric": column.metric.key,
        "unit": column.metric.unit,
        "digits": 1 if column.metric.unit == PERCENT else column.metric.digits,
        "better": column.better,
        "values": value.tolist(),
        "mean": float(value.mean()),
        "least": float(value.min()),
        "greatest": float(value.max()),
        "chance": None if None in chances else float(np.mean(chances)),
        "difference": float(difference.mean()),
        "difference_half_width": half,
    }


def table(figures: Figures, baseline: str) -> str:
    """Returns Markdown in percent: for each tag the figures, then the differences to `baseline`."""
    parts = []
    for tag, columns in figures.items():
        variants = list(next(iter(columns.values())))
        others = [variant for variant in variants if variant != baseline]
        cells = list(columns.values())
        num_seeds = len(cells[0][baseline]["values"])
        head = f"{tag}, %, {num_seeds} {'seeds' if num_seeds > 1 else 'seed'}"
        values = {variant: [_value(c, variant) for c in cells] for variant in variants}
        chance = [c[baseline]["chance"] for c in cells]
        values["chance"] = [
            "" if level is None else _number(c[baseline], level) for c, level in zip(cells, chance)
        ]
        parts.append(_markdown(f"{head}: mean [least, greatest]", columns, values))
        if others:
            differences = {variant: [_difference(c[variant]) for c in cells] for variant in others}
            parts.append(_markdown(f"{head}: difference to {baseline}", columns, differences))
    return "\n".join([*parts, _legend(figures)])


def _legend(figures: Figures) -> str:
    shown = [(name, next(iter(c.values()))) for t in figures.values() for name, c in t.items()]
    text = [words for columns, words in _LEGENDS if any(name in columns for name, _ in shown)]
    text.append("Bold: the best mean.")
    if any(figure["better"] < 0 for _, figure in shown):
        text.append("↓: lower is better.")
    return textwrap.fill(" ".join([*text, _LEGEND]), 99) + "\n"


def _markdown(head: str, columns: Collection[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [[head, *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *cells] for name, cells in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _value(of_variant: Mapping[str, Mapping[str, Any]], variant: str) -> str:
    figure = of_variant[variant]
    least, mean, greatest = (_number(figure, figure[k]) for k in ("least", "mean", "greatest"))
    better = figure["better"]
    best = better and all(better * (figure["mean"] - f["mean"]) >= 0 for f in of_variant.values())
    mean = f"**{mean}**" if best else mean
    return mean if len(figure["values"]) == 1 else f"{mean} [{least}, {greatest}]"


def _difference(figure: Mapping[str, Any]) -> str:
    half = figure["difference_half_width"]
    difference = _number(figure, figure["difference"], sign="+")
    return difference + ("" if half is None else f" ± {_number(figure, half)}")


def _number(figure: Mapping[str, Any], value: float, sign: str = "") -> str:
    return f"{scale(figure) * value:{sign}.{figure['digits']}f}"


def scale(figure: Mapping[str, Any]) -> float:
    """Returns what the values of a figure are multiplied with to be shown."""
    return 100.0 if figure["unit"] == PERCENT else 1.0
