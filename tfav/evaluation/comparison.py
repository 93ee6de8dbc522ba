"""Variants of one experiment over the same seeds, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from tfav import registry
from tfav.evaluation import report

_STRATA = {"unrestricted": "U", "same_gender": "G"}
# Column to the figures it is the mean of: metric, candidates, stratum, directions.
_COLUMNS = {
    f"1:2 {report.HEADS[direction]} {mark}": ("accuracy", 2, stratum, [direction])
    for stratum, mark in _STRATA.items()
    for direction in report.HEADS
} | {
    f"{name} {mark}": (metric, None, stratum, list(report.HEADS))
    for metric, name in (("auc", "AUC"), ("map", "mAP"))
    for stratum, mark in _STRATA.items()
}
_LEGEND = """\
U: unrestricted, G: same gender. AUC (verification) and mAP (retrieval) are means of both
directions. Bold: the best mean. Differences are paired by seed, ± the half width of the 95 %
interval of their mean (Student's t over seeds).
"""

# tag -> column -> variant -> its figure
Figures = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]


def summarise(runs: Mapping[str, Sequence[report.Results]], baseline: str) -> Figures:
    """Returns what each variant reaches in each column, in [0, 1].

    A figure has the `values` of the seeds, their `mean`, `least` and `greatest`, the `chance`
    level, the mean `difference` to the baseline, seed by seed, and `difference_half_width` of its
    95 % interval (Student's t over seeds; None for a single seed).

    Args:
      runs: variant to the results of its seeds; all variants have the same seeds in one order.
      baseline: one of the variants.

    Raises:
      UserError: the runs have no column in common.
    """
    every = [results for of_variant in runs.values() for results in of_variant]
    figures: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for tag in dict.fromkeys(r["tag"] for r in every[0]):
        for column in _COLUMNS:
            cells = {v: [_cell(results, tag, column) for results in runs[v]] for v in runs}
            if any(None in of_variant for of_variant in cells.values()):
                continue
            base = np.array(cells[baseline])[:, 0]
            figures.setdefault(tag, {})[column] = {
                variant: _figure(np.array(pairs), base) for variant, pairs in cells.items()
            }
    if not figures:
        raise registry.UserError(
            "the runs have no figure in common to compare: name --tags whose lists hold 1:2 "
            "matching, verification or retrieval."
        )
    return figures


def _cell(results: report.Results, tag: str, column: str) -> tuple[float, float] | None:
    """Returns a column's value and chance level in one run."""
    metric, n, stratum, directions = _COLUMNS[column]
    found = [
        (r["value"], r["chance"])
        for r in results
        if (r["tag"], r["metric"], r["n"], r["stratum"]) == (tag, metric, n, stratum)
        and r["direction"] in directions
    ]
    return tuple(np.mean(found, axis=0)) if len(found) == len(directions) else None


def _figure(pairs: np.ndarray, base: np.ndarray) -> dict[str, Any]:
    value, chance = pairs.T
    difference, half = value - base, None
    if len(value) > 1:
        error = difference.std(ddof=1) / np.sqrt(len(value))
        half = float(stats.t.ppf(0.975, len(value) - 1) * error)
    return {
        "values": value.tolist(),
        "mean": float(value.mean()),
        "least": float(value.min()),
        "greatest": float(value.max()),
        "chance": float(chance.mean()),
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
        values["chance"] = [f"{100 * c[baseline]['chance']:.1f}" for c in cells]
        parts.append(_markdown(f"{head}: mean [least, greatest]", columns, values))
        if others:
            differences = {variant: [_difference(c[variant]) for c in cells] for variant in others}
            parts.append(_markdown(f"{head}: difference to {baseline}", columns, differences))
    return "\n".join([*parts, _LEGEND])


def _markdown(head: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [[head, *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *cells] for name, cells in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _value(of_variant: Mapping[str, Mapping[str, Any]], variant: str) -> str:
    figure = of_variant[variant]
    least, mean, greatest = (f"{100 * figure[k]:.1f}" for k in ("least", "mean", "greatest"))
    best = figure["mean"] == max(f["mean"] for f in of_variant.values())
    mean = f"**{mean}**" if best else mean
    return mean if len(figure["values"]) == 1 else f"{mean} [{least}, {greatest}]"


def _difference(figure: Mapping[str, Any]) -> str:
    half = figure["difference_half_width"]
    return f"{100 * figure['difference']:+.1f}" + ("" if half is None else f" ± {100 * half:.1f}")
