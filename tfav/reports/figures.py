"""What was measured as HTML: curves and a table. Pure functions of the figures of `protocols`."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfav.annotations import lists
from tfav.evaluation import metrics
from tfav.reports import charts, showcase
from tfav.reports import tables as report

DIRECTIONS = {"v2f": "Voice → face", "f2v": "Face → voice"}

Scores = Mapping[str, tuple[np.ndarray, np.ndarray]]


def task_name(task: showcase.Task, tags: Sequence[str]) -> str:
    """Returns what a reader calls a task; its tag is said only where there are several."""
    name = DIRECTIONS[task.direction]
    if task.stratum != lists.STRATA[0]:
        name += f", {task.stratum.replace('_', '-')}"
    return f"{name}, {task.tag}" if len(tags) > 1 else name


def curves(
    tag: str, tasks: Sequence[showcase.Task], results: report.Results, scores: Scores
) -> str:
    """Returns the ROC, CMC and 1:N curves of one tag, those there are figures for.

    Args:
      tag: whose.
      tasks: at least one is of the tag.
      results: of `protocols.evaluate`.
      scores: {list file name: (score [T], label [T])} of the verification lists.
    """
    of_tag = [r for r in results if r["tag"] == tag]
    figures = []
    rocs = [_roc(r, scores) for r in of_tag if r["metric"] == "auc" and r["list"] in scores]
    if rocs:
        ends = np.array([0.0, 100.0])
        rocs.append(charts.Line("chance", "chance", ends, ends))
        axes = "wrong pairs accepted (%)", "right pairs accepted (%)"
        figures.append(charts.figure("Verification (ROC)", *axes, rocs, range(0, 101, 20)))
    figures.append(_recall([task for task in tasks if task.tag == tag]))
    matching = [r for r in of_tag if r["metric"] == "accuracy"]
    if len({r["n"] for r in matching}) > 1:  # one N makes no curve
        figures.append(_matching(matching))
    return f'<div class="charts">{"".join(figures)}</div>'


def _label(result: Mapping[str, Any]) -> str:
    return f"{DIRECTIONS[result['direction']]}, {result['stratum'].replace('_', '-')}"


def _roc(result: Mapping[str, Any], scores) -> charts.Line:
    false_positive_rate, true_positive_rate, _ = metrics.roc_curve(*scores[result["list"]])
    label = f"{_label(result)}: AUC {100 * result['value']:.1f} %"
    style = f"{result['direction']} {result['stratum']}"
    return charts.Line(label, style, 100 * false_positive_rate, 100 * true_positive_rate)


def _recall(tasks: Sequence[showcase.Task]) -> str:
    found, luck = [], {}
    for task in tasks:
        k = np.arange(1, len(task.recall) + 1, dtype=float)
        name, style = task_name(task, ()), f"{task.direction} {task.stratum}"
        found.append(charts.Line(name, style, k, 100 * task.recall))
        chance = charts.Line(f"chance, {name}", f"{style} chance", k, 100 * task.chance_recall)
        luck[tuple(chance.y.round(1))] = chance
    if len(luck) == 1:  # galleries alike: one line serves all
        luck = {0: next(iter(luck.values()))._replace(label="chance", style="chance")}
    found += luck.values()
    last = max(len(task.recall) for task in tasks)
    ticks = [k for k in (1, 5, 10, 20, 30, 40) if k < last] + [last]
    axes = "closest items looked at, k", "probes with a match among them (%)"
    return charts.figure("Retrieval (CMC)", *axes, found, ticks)


def _matching(results: report.Results) -> str:
    drawn = []
    for key in dict.fromkeys((r["direction"], r["stratum"]) for r in results):
        line = sorted(
            (r for r in results if (r["direction"], r["stratum"]) == key), key=lambda r: r["n"]
        )
        n, value = (np.array([r[name] for r in line], float) for name in ("n", "value"))
        band = None
        if all(r["low"] is not None for r in line):
            band = tuple(np.array([100 * r[end] for r in line]) for end in ("low", "high"))
        drawn.append(charts.Line(_label(line[0]), " ".join(key), n, 100 * value, band, dots=True))
    sizes = np.array(sorted({r["n"] for r in results}), float)
    drawn.append(charts.Line("chance", "chance", sizes, 100 / sizes))
    axes = "candidates, N", "right choice (%)"
    return charts.figure("1:N matching", *axes, drawn, sizes.tolist())


def table(results: report.Results) -> str:
    """Returns the figures with intervals and chance, one HTML table a tag and stratum."""
    if not results:
        return "<p>No query lists here: the retrieval above is over the whole split.</p>"
    tables = []
    for tag, stratum in dict.fromkeys((r["tag"], r["stratum"]) for r in results):
        block = [r for r in results if (r["tag"], r["stratum"]) == (tag, stratum)]
        caption = html.escape(f"{tag}, {stratum.replace('_', '-')}")
        heads = "".join(
            f'<th scope="col">{d} [95 %]</th><th scope="col">chance</th><th scope="col">trials</th>'
            for d in DIRECTIONS.values()
        )
        body = ""
        for metric, n in report.order(block):
            cells = {r["direction"]: r for r in block if (r["metric"], r["n"]) == (metric, n)}
            name = report.metric_name(metric, n)
            body += f'<tr><th scope="row">{name}</th>'
            body += "".join(_cells(cells.get(d)) for d in DIRECTIONS) + "</tr>"
        tables.append(
            f'<div class="scroll" role="region" aria-label="Results, {caption}" tabindex="0">'
            f"<table><caption>{caption} (%)</caption>"
            f'<thead><tr><th scope="col">protocol</th>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )
    note = "Intervals resample the probes' identities. In EER alone lower is better."
    return "".join(tables) + f"<p>{note}</p>"


def _cells(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return "<td></td>" * 3
    interval = ""
    if result["low"] is not None:
        interval = f" [{100 * result['low']:.1f}, {100 * result['high']:.1f}]"
    return (
        f"<td>{100 * result['value']:.1f}{interval}</td><td>{100 * result['chance']:.1f}</td>"
        f"<td>{result['num_trials']:,}</td>"
    )
