"""Measured figures as text, JSON and pictures.

`results` are the dicts of `protocols.evaluate`, `classification.evaluate` and `trials.evaluate`, of
one tag or several.
"""

import json
import os
import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfav import files
from tfav.reports import drawing

Results = Sequence[Mapping[str, Any]]

HEADS = drawing.DIRECTIONS  # voices and faces; other directions are called what they are
METRICS = {
    "accuracy": "1:{n} matching",
    "auc": "verification AUC",
    "eer": "verification EER",
    "min_dcf": "verification minDCF",
    "map": "retrieval mAP",
    "recall@1": "retrieval recall@1",
    "recall@5": "retrieval recall@5",
    "recall@10": "retrieval recall@10",
    "ece": "calibration error",
    "nll": "NLL (nats)",
    "correspondence_auc": "correspondence AUC",
    "pointing": "maximum inside a box",
    "ciou": "cIoU of 0.5 or more",
    "ciou_auc": "area under cIoU",
    "probe_accuracy": "linear probe",
}
LOWER_IS_BETTER = {"eer": "EER", "min_dcf": "minDCF", "ece": "calibration error", "nll": "NLL"}
NOT_PERCENT = ("nll", "min_dcf")
DEFINITIONS = {
    "map": "mAP is the mean over the probes of average precision: the mean, over a probe's matches "
    "in the gallery, of the share of matches down to that one. No cut-off; a tie counts against "
    "the match; a probe without a match counts 0; chance is the expected value of a random order.",
    "accuracy": "Accuracy is the share of rows whose own class scores highest, a tie being wrong; "
    "chance is the most frequent class's share.",
    "ece": "Calibration error (ECE) is the mean gap between confidence and accuracy over 15 "
    "equally wide bins of confidence, weighted by their rows.",
    "nll": "NLL is the mean of -ln p of the right class, in nats; chance is that of always saying "
    "the classes' shares.",
    "min_dcf": "minDCF is the least of 100 (0.01 FNR + 0.99 FPR) over all thresholds; rejecting "
    "everything costs 1.",
    "correspondence_auc": "Correspondence AUC is the chance that a sound and its own picture "
    "outscore the sound and another one; ten others a sound.",
    "ciou": "cIoU is the overlap of what a map says and what annotators marked, over their union; "
    "chance is that of a map that says everywhere.",
    "probe_accuracy": "A linear probe is a one-vs-all linear SVM on frozen features, its constant "
    "chosen on the training folds; accuracy is the mean over the test folds.",
}
_NAME_WIDTH, _CELL_WIDTH = 26, 37


def metric_name(metric: str, n: int | None) -> str:
    """Returns what a reader calls a metric; `n` is None but for 1:N matching."""
    return metric if metric == "accuracy" and n is None else METRICS[metric].format(n=n)


def number(metric: str, value: float | None) -> str:
    """Returns a value as it is printed: percent, but for minDCF and NLL."""
    if value is None:
        return "-"
    if metric in NOT_PERCENT:
        return f"{value:.3f}"
    # mAP: a few percent over a chance of half a percent.
    return f"{100 * value:.{2 if metric == 'map' else 1}f}"


def order(results: Results) -> list[tuple[str, int | None]]:
    """Returns the (metric, n) there are, in the order to show them."""
    names = list(METRICS)
    found = {(r["metric"], r["n"]) for r in results}
    return sorted(found, key=lambda row: (names.index(row[0]), row[1] or 0))


def definitions(results: Results) -> dict[str, str]:
    """Returns what the metrics that need a word are: metric -> sentences."""
    found = {metric for metric, n in order(results) if metric != "accuracy" or n is None}
    return {metric: text for metric, text in DEFINITIONS.items() if metric in found}


def text_table(results: Results) -> str:
    """Returns a fixed-width table in percent: a block a tag and stratum, a row a metric.

    Voices and faces have a column a direction, each cell `value [low, high] chance trials`; other
    directions have rows of their own. Definitions, and what there is to note, stand below.
    """
    lines = []
    of_lists = [r for r in results if r["direction"] in HEADS]
    for tag, stratum in dict.fromkeys((r["tag"], r["stratum"]) for r in of_lists):
        block = [r for r in of_lists if (r["tag"], r["stratum"]) == (tag, stratum)]
        title = f"{tag}, {stratum.replace('_', '-')} (%)"
        heads = (f"{head + ' [95 %]':<20} {'chance':>6} {'trials':>7}" for head in HEADS.values())
        lines.append(f"{title:<{_NAME_WIDTH}}" + "".join(f"{h:<{_CELL_WIDTH}}" for h in heads))
        for metric, n in order(block):
            cells = {r["direction"]: r for r in block if (r["metric"], r["n"]) == (metric, n)}
            line = f"{metric_name(metric, n):<{_NAME_WIDTH}}"
            lines.append(line + "".join(f"{_cell(cells.get(d)):<{_CELL_WIDTH}}" for d in HEADS))
        lines.append("")
    others = [r for r in results if r["direction"] not in HEADS]
    for tag in dict.fromkeys(r["tag"] for r in others):
        block = [r for r in others if r["tag"] == tag]
        names = {id(r): f"{metric_name(r['metric'], r['n'])}, {r['direction']}" for r in block}
        width = max(_NAME_WIDTH, 2 + max(map(len, names.values())))
        title = f"{tag} (%)"
        lines.append(f"{title:<{width}}{'value [95 %]':<20} {'chance':>6} {'trials':>7}")
        for metric, _ in order(block):
            rows = [r for r in block if r["metric"] == metric]
            lines += [f"{names[id(r)]:<{width}}{_cell(r)}" for r in rows]
        lines.append("")
    lines += [_fill(note) for note in _footnotes(results)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def interval_note(results: Results) -> str:
    """Returns what the intervals resample and where lower is better, one line."""
    units = {}
    for r in results:
        if r["direction"] in HEADS:
            units["the probes' identities"] = None
        elif r["protocol"] == "trials":
            units["the speakers of the trials' first recordings"] = None
        else:
            grouped = r["num_identities"] < r["num_trials"]
            units["groups of rows, such as speakers" if grouped else "rows"] = None
    if list(units) == ["the probes' identities"]:
        lower = "In EER alone lower is better."
    else:
        found = [n for m, n in LOWER_IS_BETTER.items() if any(r["metric"] == m for r in results)]
        lower = f"Lower is better in {', '.join(found)}." if found else ""
    return f"Intervals resample {'; '.join(units)}. {lower}".rstrip()


def _footnotes(results: Results) -> list[str]:
    notes = dict.fromkeys(note for r in results for note in r.get("notes", ()))
    return [interval_note(results), *definitions(results).values(), *notes]


def _fill(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _cell(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return ""
    metric = result["metric"]
    low, value, high = (number(metric, result[key]) for key in ("low", "value", "high"))
    chance = result["chance"]
    if chance is not None and metric not in NOT_PERCENT:
        chance = f"{100 * chance:.2f}"
    else:
        chance = number(metric, chance)
    return f"{value:>5} {f'[{low}, {high}]':<14} {chance:>6} {result['num_trials']:>7,}"


def spread_table(runs: Sequence[Results]) -> str:
    """Returns Markdown tables of several runs: the mean of each figure, its least, its greatest.

    Args:
      runs: the results of each run; only figures that all runs have are shown.
    """
    every = [r["direction"] for r in runs[0]]
    sides = [d for d in HEADS if d in every], [d for d in dict.fromkeys(every) if d not in HEADS]
    tables = [_spread(runs, list(HEADS))] if sides[0] else []
    tables += [_spread(runs, sides[1])] if sides[1] else []
    return "\n".join(tables)


def _spread(runs: Sequence[Results], directions: Sequence[str]) -> str:
    def key(r):
        return (r["tag"], r["stratum"], r["metric"], r["n"], r["direction"])

    tables = [{key(r): r for r in run if r["direction"] in directions} for run in runs]
    heads = [HEADS.get(direction, direction) for direction in directions]
    lines = [
        f"| %, mean of {len(runs)} runs [least, greatest] | {' | '.join(heads)} | chance |",
        "|---" * (len(directions) + 2) + "|",
    ]
    for tag, stratum, metric, n in dict.fromkeys(found[:4] for found in tables[0]):
        cells, chance = [], ""
        for direction in directions:
            found = [t.get((tag, stratum, metric, n, direction)) for t in tables]
            if None in found:
                cells.append("")
                continue
            digits = 3 if metric in NOT_PERCENT else 1
            scale = 1 if metric in NOT_PERCENT else 100
            values = [scale * r["value"] for r in found]
            ends = f"{min(values):.{digits}f}, {max(values):.{digits}f}"
            cells.append(f"{np.mean(values):.{digits}f} [{ends}]")
            levels = [r["chance"] for r in found]
            chance = "" if None in levels else f"{scale * np.mean(levels):.{digits}f}"
        if any(cells):
            of_lists = directions[0] in HEADS
            name = f"{tag}, {stratum.replace('_', '-')}" if of_lists else tag
            lines.append(f"| {name}: {metric_name(metric, n)} | {' | '.join(cells)} | {chance} |")
    return "\n".join(lines) + "\n"


def to_json(results: Results, about: Mapping[str, Any] | None = None) -> str:
    """Returns strict JSON: `about` (checkpoint, command, ...), `definitions`, and the results.

    Raises:
      ValueError: a value is NaN or infinite.
    """
    document = {"about": dict(about or {}), "definitions": definitions(results)}
    document["results"] = [dict(r) for r in results]
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def plots(
    results: Results,
    scores: Mapping[str, tuple[np.ndarray, np.ndarray]],
    directory: str | os.PathLike,
) -> list[pathlib.Path]:
    """Writes `roc.png` and `matching.png`, each if there is a curve to draw; returns their paths.

    Args:
      results: of `protocols.evaluate`, of one tag.
      scores: `protocols.verification_scores`: {list file name: (score [T], label [T])}.
      directory: made when absent.
    """
    pictures = {}
    if scores:
        pictures["roc"] = drawing.roc(results, scores)
    accuracy = [r for r in results if r["metric"] == "accuracy"]
    if len({r["n"] for r in accuracy}) > 1:  # one N makes no curve
        pictures["matching"] = drawing.matching(accuracy)
    return files.write_pictures(pictures, directory)
