"""Variants of one experiment over the same seeds, side by side."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from tfav import registry
from tfav.reports import drawing, tables

_STRATA = {"unrestricted": "U", "same_gender": "G"}


class _Column(NamedTuple):
    """What a column shows of a run: the mean, or the range, of a metric over directions."""

    metric: str
    n: int | None
    stratum: str
    directions: Sequence[str]
    is_range: bool = False

    @property
    def better(self) -> int:
        """1: higher is better, -1: lower, 0: neither is as such."""
        return 0 if self.is_range else -1 if self.metric in tables.LOWER_IS_BETTER else 1


_COLUMNS = {
    f"1:2 {tables.HEADS[direction]} {mark}": _Column("accuracy", 2, stratum, [direction])
    for stratum, mark in _STRATA.items()
    for direction in tables.HEADS
} | {
    f"{name} {mark}": _Column(metric, None, stratum, list(tables.HEADS))
    for metric, name in (("auc", "AUC"), ("map", "mAP"))
    for stratum, mark in _STRATA.items()
}
_GAP = "uni-modal gap"
_LEGENDS = (
    (
        _COLUMNS,
        "U: unrestricted, G: same gender. AUC (verification) and mAP (retrieval) are means of both "
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


def summarise(runs: Mapping[str, Sequence[tables.Results]], baseline: str) -> Figures:
    """Returns what each variant reaches in each column, in [0, 1].

    A figure has the `values` of the seeds, their `mean`, `least` and `greatest`, the `chance`
    level (None where there is none), the mean `difference` to the baseline, seed by seed, and
    `difference_half_width` of its 95 % interval (Student's t over seeds; None for a single seed);
    `metric`, and whether more of it is `better` (1), worse (-1), or neither (0).

    Args:
      runs: variant to the results of its seeds; all variants have the same seeds in one order.
      baseline: one of the variants.

    Raises:
      UserError: the runs have no column in common.
    """
    every = [results for of_variant in runs.values() for results in of_variant]
    figures: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    columns = _columns(every[0])
    for tag in dict.fromkeys(r["tag"] for r in every[0]):
        for name, column in columns.items():
            cells = {v: [_cell(results, tag, column) for results in runs[v]] for v in runs}
            if any(None in of_variant for of_variant in cells.values()):
                continue
            base = np.array([value for value, _ in cells[baseline]])
            figures.setdefault(tag, {})[name] = {
                variant: _figure(column, *zip(*pairs), base) for variant, pairs in cells.items()
            }
    if not figures:
        raise registry.UserError(
            "the runs have no figure in common to compare: name --tags whose lists hold 1:2 "
            "matching, verification or retrieval, or splits of a run that classifies."
        )
    return figures


def _columns(results: tables.Results) -> dict[str, _Column]:
    """Returns the columns of voices and faces, and those of the directions found in a run.

    Of what is fused every figure is a column; of a single modality, accuracy alone.
    """
    found = dict(_COLUMNS)
    others = [r for r in results if r["direction"] not in tables.HEADS]
    single = dict.fromkeys(r["direction"] for r in others if r["direction"] != "fused")
    for metric, n in tables.order(others):
        mark = " ↓" if metric in tables.LOWER_IS_BETTER else ""
        name = tables.metric_name(metric, n) + mark
        for direction in ["fused", *(single if metric == "accuracy" else ())]:
            found[f"{direction} {name}"] = _Column(metric, n, "unrestricted", [direction])
        if metric == "accuracy" and len(single) > 1:
            found[_GAP] = _Column(metric, n, "unrestricted", list(single), is_range=True)
    return found


def _cell(results: tables.Results, tag: str, column: _Column) -> tuple[float, float | None] | None:
    """Returns a column's value and chance level in one run."""
    found = {
        r["direction"]: (r["value"], r["chance"])
        for r in results
        if (r["tag"], r["metric"], r["n"], r["stratum"])
        == (tag, column.metric, column.n, column.stratum)
        and r["direction"] in column.directions
    }
    if len(found) != len(column.directions):
        return None
    values, chances = zip(*found.values())
    if column.is_range:
        return float(np.ptp(values)), None
    return float(np.mean(values)), None if None in chances else float(np.mean(chances))


def _figure(
    column: _Column, values: Sequence[float], chances: Sequence[float | None], base: np.ndarray
) -> dict[str, Any]:
    value = np.array(values)
    difference, half = value - base, None
    if len(value) > 1:
        error = difference.std(ddof=1) / np.sqrt(len(value))
        half = float(stats.t.ppf(0.975, len(value) - 1) * error)
    return {
        "metric": column.metric,
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


def _markdown(head: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
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
    percent = figure["metric"] not in tables.NOT_PERCENT
    return f"{100 * value:{sign}.1f}" if percent else f"{value:{sign}.3f}"


def sensitivity_plot(figures: Figures, field: str, swept: Mapping[str, Any]) -> bytes:
    """Returns a PNG: how each column depends on a field, mean and least to greatest over seeds.

    Args:
      figures: of `summarise`.
      field: what was swept, the x axis.
      swept: variant to its value of the field; all other variants are horizontal lines.
    """
    panels = [(tag, name) for tag, columns in figures.items() for name in columns]
    wide = min(3, len(panels))
    high = -(-len(panels) // wide)
    drawn = drawing.canvas(0.4 + 3.6 * wide, 0.7 + 2.7 * high)
    grid = drawn.subplots(high, wide, squeeze=False)
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in swept.values())
    names = sorted(swept, key=swept.get) if numeric else list(swept)
    x = [swept[name] for name in names] if numeric else list(range(len(names)))
    for axes, (tag, column) in zip(grid.flat, panels):
        cells = figures[tag][column]
        scale = 1 if cells[names[0]]["metric"] in tables.NOT_PERCENT else 100
        for number, baseline in enumerate(name for name in cells if name not in swept):
            mean, *ends = (scale * cells[baseline][k] for k in ("mean", "least", "greatest"))
            style = {"color": f"C{1 + number % 9}", "linestyle": ("--", "-.", ":")[number % 3]}
            axes.axhline(mean, label=drawing.label(baseline), **style)
            axes.axhspan(*ends, color=style["color"], alpha=0.12, linewidth=0)
        mean, least, greatest = (
            [scale * cells[name][k] for name in names] for k in ("mean", "least", "greatest")
        )
        axes.fill_between(x, least, greatest, color="C0", alpha=0.18, linewidth=0)
        axes.plot(x, mean, color="C0", marker="o", markersize=4, label=drawing.label(field))
        if numeric and min(x) > 0 and max(x) / min(x) >= 8:
            axes.set_xscale("log")
        axes.set_xticks(
            x,
            [f"{swept[name]:g}" if numeric else drawing.label(str(swept[name])) for name in names],
        )
        axes.minorticks_off()
        title = column if len(figures) == 1 else f"{tag}: {column}"
        axes.set_title(title if scale == 1 else f"{title} (%)", fontsize=10)
        axes.set_xlabel(drawing.label(field))
        axes.grid(alpha=0.3)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    lines = {line.get_label(): line for line in grid.flat[0].get_lines()}
    drawn.legend(
        lines.values(), lines.keys(), loc="outside upper center", ncols=len(lines), frameon=False
    )
    return drawing.png(drawn)
