"""Trains variants of one experiment over seeds and sets their figures side by side.

A sweep makes more of them: one variant with each of several values of a field.

Each run is two processes of its own, train and eval, so none inherits another's graph, memory or
random state. What a run was made from is kept with it: the same call again repeats nothing.
"""

import collections
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tfav import files, progress, registry, states
from tfav.commands import child, compared, destinations, feature_rows, sweeps
from tfav.evaluation.result import Result
from tfav.experiment import evaluations
from tfav.reports import comparison, sensitivity


def compare(
    config: str,
    variants: Sequence[str],
    seeds: Sequence[int],
    output: str,
    data: str,
    tags: Sequence[str] = ("test",),
    overrides: Mapping[str, Any] | None = None,
    baseline: str = "",
    sweep: str = "",
    protocols: Sequence[str] = (),
    eval_data: str = "",
    features: Sequence[str] = (),
) -> str:
    """Trains and evaluates every variant with every seed; writes `table.md` and `results.json`.

    Args:
      config: a config file.
      variants: Variants of that file, in the order of the table's rows.
      seeds: Random seeds, one run each.
      output: folder; holds VARIANT/seedN, and is continued when it holds finished runs.
      data: the data set's folder; `{seed}` in it stands for the seed.
      tags: which query lists or splits, one table each.
      overrides: config fields of all variants, dotted name to value.
      baseline: the row from which differences are taken; empty: the first.
      sweep: `FIELD:VALUE,VALUE,...`; instead of the first variant, the rows are that variant with
        the field set to each value, in VARIANT/FIELD=VALUE/seedN, after the other variants; a
        picture, `sensitivity.png`, is written too.
      protocols: how runs are evaluated; none: as their configs say, and with `features` by
        `linear_probe`.
      eval_data: Folder of the data that runs are evaluated on, with `{seed}` as in `data`; empty:
        that of the training.
      features: rows of `feature_rows.ROWS`, which nobody trains; the table then has one row per
        kind of features.

    Returns:
      The Markdown tables.

    Raises:
      UserError: a name that does not exist, or a run that failed; names its log.
    """
    for field, flag in (("seed", "--seeds"), ("data.directory", "--data")):
        if field in (overrides or {}):
            raise registry.UserError(f"--config.{field} is what {flag} gives: leave it out.")
    destinations.check_folder("output", output, "comparison")
    protocols = protocols or ([feature_rows.PROTOCOL] if features else [])
    feature_rows.check(features, protocols)
    for flag, given in (("variants", variants), ("seeds", seeds), ("features", features)):
        twice = [value for value, count in collections.Counter(given).items() if count > 1]
        if twice:
            raise registry.UserError(
                f"--{flag}={','.join(map(str, given))} names {twice[0]} twice: name each once."
            )
    rows = [compared.Row(variant, variant, variant, {}) for variant in variants]
    field, swept = "", {}
    if sweep:
        field, values = sweeps.read(sweep, config, variants[0], overrides or {})
        swept = {f"{field}={text}": value for text, value in values.items()}
        rows = rows[1:] + compared.swept(variants[0], field, swept)
    names = feature_rows.named(features, [row.name for row in rows])
    baseline = baseline or names[0]
    if baseline not in names:
        raise registry.UserError(
            f"--baseline={baseline} is not among {', '.join(names)}: name one of these rows."
        )
    for variant in variants:
        compared.check_fields(config, variant, overrides or {})
    # All runs are looked at before the first one takes an hour. Seeds outside: a table of the seeds
    # that are done is fair to every variant.
    asked = compared.Asked(tags, protocols, eval_data)
    runs = [
        compared.run(config, row, seed, output, data, overrides or {}, asked)
        for seed in seeds
        for row in rows
    ]
    without_training = [
        feature_rows.measure(features, run.config, run.measured_on, output)
        for run in runs[:: len(rows)]
    ]
    with progress.bar(runs, unit="run") as shown:
        for run in shown:
            shown.set_description(f"{run.variant}, seed {run.seed}")
            _finish(run)
    found: dict[str, list[list[Result]]] = {}
    for run in runs:
        found.setdefault(run.variant, []).append(_figures(run) or [])
    if features:
        found = feature_rows.beside(without_training, found)
    figures = comparison.summarise(found, baseline)
    text = comparison.table(figures, baseline)
    about = {"command": sys.argv, "config": config, "seeds": list(seeds)}
    files.write_text(os.path.join(output, "table.md"), text)
    about |= {"data": data, "baseline": baseline, **({"sweep": sweep} if sweep else {})}
    about |= {"eval_data": eval_data} if eval_data else {}
    files.write_json(os.path.join(output, "results.json"), {"about": about, "figures": figures})
    if swept:
        picture = sensitivity.draw(figures, field, swept)
        files.write_pictures({"sensitivity": picture}, output)
    return text


def results(output: str) -> Any:
    """Returns what `compare` wrote into a folder besides its tables: the figures, for machines."""
    with open(os.path.join(output, "results.json"), encoding="utf-8") as file:
        return json.load(file)


def _finish(run: compared.Run) -> None:
    """Trains and evaluates, each unless it is done."""
    path = os.path.join(run.workdir, "compare.json")
    if _trained(path) != run.stamp:
        _call(run, "train", run.train)
        states.write(path, {"trained": run.stamp})
    if _figures(run) is None:
        _call(run, "eval", run.evaluate())
        if _figures(run) is None:
            raise registry.UserError(
                f"{run.workdir} was evaluated on other data, lists or settings than it is to be "
                "compared by: run the same command again while nothing else changes them."
            )


def _trained(path: str) -> Any:
    """Returns what a finished run was made from; None without one.

    Raises:
      UserError: the file is damaged.
    """
    if not os.path.lexists(path):
        return None
    fix = "delete it, and the run goes on where it stands"
    return states.read(path, {"trained": object}, fix)["trained"]


def _figures(run: compared.Run) -> list[Result] | None:
    """Returns what was measured of a run as it stands; None unless all of it was.

    Raises:
      UserError: a file of it is damaged.
    """
    planned = run.planned().measured()
    every = [evaluations.find(run.workdir, wanted) for wanted in planned]
    found = [evaluation for evaluation in every if evaluation is not None]
    if len(found) < len(planned):
        return None
    return [result for evaluation in found for result in evaluation.results]


def _call(run: compared.Run, binary: str, arguments: Sequence[str]) -> None:
    log = f"{run.workdir}.log"
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "a+", encoding="utf-8") as f:
        command = [sys.executable, "-m", f"tfav.bin.{binary}", *arguments]
        failed = child.run(command, stdout=f, stderr=subprocess.STDOUT)
        if failed:
            f.seek(0)
            last = (f.read().strip() or "it said nothing").splitlines()[-1]
            raise registry.UserError(
                f"{binary} of {run.variant} with seed {run.seed} failed ({last.rstrip('.')}): see "
                f"{log}, correct it and run the same command again."
            )
