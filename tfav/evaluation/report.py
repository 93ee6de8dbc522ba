"""Measured figures as text, JSON and pictures.

`results` are the dicts of `protocols.evaluate`, of one tag or several.
"""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfav.evaluation import metrics

Results = Sequence[Mapping[str, Any]]

HEADS = {"v2f": "V->F", "f2v": "F->V"}
METRICS = {
    "accuracy": "1:{n} matching",
    "auc": "verification AUC",
    "eer": "verification EER",
    "map": "retrieval mAP",
    "recall@1": "retrieval recall@1",
    "recall@5": "retrieval recall@5",
    "recall@10": "retrieval recall@10",
}
_NAME_WIDTH, _CELL_WIDTH = 26, 37


def text_table(results: Results) -> str:
    """Returns a fixed-width table in percent: a block a tag and stratum, a row a metric.

    Each cell is `value [low, high] chance trials`.
    """
    lines = []
    for tag, stratum in dict.fromkeys((r["tag"], r["stratum"]) for r in results):
        block = [r for r in results if (r["tag"], r["stratum"]) == (tag, stratum)]
        title = f"{tag}, {stratum.replace('_', '-')} (%)"
        heads = (f"{head + ' [95 %]':<20} {'chance':>6} {'trials':>7}" for head in HEADS.values())
        lines.append(f"{title:<{_NAME_WIDTH}}" + "".join(f"{h:<{_CELL_WIDTH}}" for h in heads))
        rows = dict.fromkeys((r["metric"], r["n"]) for r in block)
        for metric, n in sorted(rows, key=lambda row: (list(METRICS).index(row[0]), row[1] or 0)):
            cells = {r["direction"]: r for r in block if (r["metric"], r["n"]) == (metric, n)}
            line = f"{METRICS[metric].format(n=n):<{_NAME_WIDTH}}"
            line += "".join(f"{_cell(cells.get(d)):<{_CELL_WIDTH}}" for d in HEADS)
            lines.append(line.rstrip())
        lines.append("")
    lines.append("Intervals resample the probes' identities. In EER alone lower is better.")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def spread_table(runs: Sequence[Results]) -> str:
    """Returns a Markdown table of several runs: the mean of each figure, its least, its greatest.

    Args:
      runs: the results of each run; only figures that all runs have are shown.
    """
    keys = [(r["tag"], r["stratum"], r["metric"], r["n"], r["direction"]) for r in runs[0]]
    tables = [dict(zip(keys, runs[0]))]
    for run in runs[1:]:
        tables.append(
            {(r["tag"], r["stratum"], r["metric"], r["n"], r["direction"]): r for r in run}
        )
    lines = [
        f"| %, mean of {len(runs)} runs [least, greatest] | V->F | F->V | chance |",
        "|---|---|---|---|",
    ]
    for tag, stratum, metric, n in dict.fromkeys(key[:4] for key in keys):
        cells, chance = [], ""
        for direction in HEADS:
            found = [t.get((tag, stratum, metric, n, direction)) for t in tables]
            if None in found:
                cells.append("")
                continue
            values = [100 * r["value"] for r in found]
            cells.append(f"{np.mean(values):.1f} [{min(values):.1f}, {max(values):.1f}]")
            chance = f"{100 * np.mean([r['chance'] for r in found]):.1f}"
        if any(cells):
            name = f"{tag}, {stratum.replace('_', '-')}: {METRICS[metric].format(n=n)}"
            lines.append(f"| {name} | {' | '.join(cells)} | {chance} |")
    return "\n".join(lines) + "\n"


def to_json(results: Results, about: Mapping[str, Any] | None = None) -> str:
    """Returns strict JSON: `about` (checkpoint, command, ...) and the results as they are.

    Raises:
      ValueError: a value is NaN or infinite.
    """
    document = {"about": dict(about or {}), "results": [dict(r) for r in results]}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def plots(
    results: Results,
    scores: Mapping[str, tuple[np.ndarray, np.ndarray]],
    directory: str | os.PathLike,
) -> list[pathlib.Path]:
    """Writes `roc.png` and `matching.png`, each if there is a curve to draw; returns their paths.

    Args:
      results: of one tag.
      scores: `protocols.verification_scores`: {list file name: (score [T], label [T])}.
      directory: made when absent.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    if scores:
        written.append(_save(_roc(results, scores), directory / "roc.png"))
    if len({r["n"] for r in results if r["metric"] == "accuracy"}) > 1:  # one N makes no curve
        written.append(_save(_matching(results), directory / "matching.png"))
    return written


def _cell(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return ""
    digits = 2 if result["metric"] == "map" else 1  # a few percent over a chance of half a percent
    low, value, high = (
        "-" if result[key] is None else f"{100 * result[key]:.{digits}f}"
        for key in ("low", "value", "high")
    )
    chance = f"{100 * result['chance']:.2f}"
    return f"{value:>5} {f'[{low}, {high}]':<14} {chance:>6} {result['num_trials']:>7,}"


def _axes(title: str):
    # The object interface of matplotlib: no global state, no display. Imported late: it is slow.
    from matplotlib import figure

    canvas = figure.Figure(figsize=(5.6, 4.6), layout="constrained")
    axes = canvas.add_subplot(title=title)
    axes.grid(alpha=0.3)
    return canvas, axes


def _style(result: Mapping[str, Any]) -> dict[str, str]:
    """Colour tells the direction, dashes the stratum."""
    return {
        "color": "tab:blue" if result["direction"] == "v2f" else "tab:orange",
        "linestyle": "-" if result["stratum"] == "unrestricted" else "--",
    }


def _roc(results: Results, scores: Mapping[str, tuple[np.ndarray, np.ndarray]]):
    canvas, axes = _axes("Verification")
    for result in results:
        if result["metric"] == "auc" and result["list"] in scores:
            false_positive_rate, true_positive_rate, _ = metrics.roc_curve(*scores[result["list"]])
            stratum = result["stratum"].replace("_", "-")
            area = f"AUC {100 * result['value']:.1f} %"
            label = f"{HEADS[result['direction']]} {stratum}, {area}"
            axes.plot(false_positive_rate, true_positive_rate, label=label, **_style(result))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":", label="chance")
    axes.plot([0, 1], [1, 0], color="grey", linewidth=0.5)
    axes.annotate("equal error", (0.64, 0.36), (4, 2), textcoords="offset points", fontsize=8)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.legend(loc="lower right", fontsize=8)
    return canvas


def _matching(results: Results):
    canvas, axes = _axes("1:N matching, 95 % over identities")
    figures = [r for r in results if r["metric"] == "accuracy"]
    for direction, stratum in dict.fromkeys((r["direction"], r["stratum"]) for r in figures):
        line = [r for r in figures if (r["direction"], r["stratum"]) == (direction, stratum)]
        line.sort(key=lambda r: r["n"])
        n, value = [r["n"] for r in line], [100 * r["value"] for r in line]
        label = f"{HEADS[direction]} {stratum.replace('_', '-')}"
        axes.plot(n, value, marker="o", markersize=3, label=label, **_style(line[0]))
        ends = [(100 * r["low"], 100 * r["high"]) for r in line if r["low"] is not None]
        if len(ends) == len(line):
            axes.fill_between(n, *zip(*ends), color=_style(line[0])["color"], alpha=0.12)
    sizes = sorted({r["n"] for r in figures})
    chance = [100 / n for n in sizes]
    axes.plot(sizes, chance, color="grey", linestyle=":", marker=".", label="chance")
    axes.set(xlabel="candidates N", ylabel="accuracy (%)", ylim=(0, 101), xticks=sizes)
    axes.legend(fontsize=8)
    return canvas


def _save(canvas, path: pathlib.Path) -> pathlib.Path:
    """Writes beside the old picture and renames, so that a full disk never spoils it."""
    partial = path.with_suffix(".partial.png")
    canvas.savefig(partial, dpi=120)
    os.replace(partial, path)
    return path
