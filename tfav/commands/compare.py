"""Trains variants of one experiment over seeds and sets their figures side by side.

A sweep makes more of them: one variant with each of several values of a field.

Each run is two processes of its own, train and eval, so none inherits another's graph, memory or
random state. What a run was made from is kept with it: the same call again repeats nothing.
"""

import collections
import json
import os
import runpy
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tqdm

from tfav import config_file, files, registry, states
from tfav.commands import destinations, plans, sweeps
from tfav.evaluation.result import Result
from tfav.experiment import evaluations
from tfav.reports import comparison, sensitivity


class Row(NamedTuple):
    """One row of the table.

    Attributes:
      name: in the table.
      variant: Variant of the config file.
      folder: Folder of its runs, below the output.
      fields: config fields of this row alone, dotted name to value.
    """

    name: str
    variant: str
    folder: str
    fields: dict[str, Any]


class Run(NamedTuple):
    """One row with one seed: its folder, and what it is made from.

    Attributes:
      variant: name of the row.
      seed: Random seed of weights and order; `{seed}` in the data's name.
      workdir: Folder of the run; its log lies beside it.
      train: arguments of tfav-train.
      stamp: what must be the same for a finished run to be taken as it is.
    """

    variant: str
    seed: int
    workdir: str
    train: list[str]
    stamp: dict[str, Any]


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

    Returns:
      The Markdown tables.

    Raises:
      UserError: a name that does not exist, or a run that failed; names its log.
    """
    for field, flag in (("seed", "--seeds"), ("data.directory", "--data")):
        if field in (overrides or {}):
            raise registry.UserError(f"--config.{field} is what {flag} gives: leave it out.")
    destinations.check_folder("output", output, "comparison")
    for flag, given in (("variants", variants), ("seeds", seeds)):
        twice = [value for value, count in collections.Counter(given).items() if count > 1]
        if twice:
            raise registry.UserError(
                f"--{flag}={','.join(map(str, given))} names {twice[0]} twice: name each once."
            )
    rows = [Row(variant, variant, variant, {}) for variant in variants]
    field, swept = "", {}
    if sweep:
        field, values = sweeps.read(sweep, config, variants[0], overrides or {})
        swept = {f"{field}={text}": value for text, value in values.items()}
        rows = rows[1:] + [
            Row(name, variants[0], _folder(variants[0], name), {field: value})
            for name, value in swept.items()
        ]
    names = [row.name for row in rows]
    baseline = baseline or names[0]
    if baseline not in names:
        raise registry.UserError(
            f"--baseline={baseline} is not among {', '.join(names)}: name one of these rows."
        )
    for variant in variants:
        _check_fields(config, variant, overrides or {})
    # All runs are looked at before the first one takes an hour. Seeds outside: a table of the seeds
    # that are done is fair to every variant.
    runs = [
        _plan(config, row, seed, output, data.replace("{seed}", str(seed)), overrides or {})
        for seed in seeds
        for row in rows
    ]
    with tqdm.tqdm(runs, unit="run", disable=None) as progress:
        for run in progress:
            progress.set_description(f"{run.variant}, seed {run.seed}")
            _finish(run, tags)
    found: dict[str, list[list[Result]]] = {}
    for run in runs:
        found.setdefault(run.variant, []).append(_figures(run, tags) or [])
    figures = comparison.summarise(found, baseline)
    text = comparison.table(figures, baseline)
    about = {"command": sys.argv, "config": config, "seeds": list(seeds)}
    files.write_text(os.path.join(output, "table.md"), text)
    about |= {"data": data, "baseline": baseline, **({"sweep": sweep} if sweep else {})}
    files.write_json(os.path.join(output, "results.json"), {"about": about, "figures": figures})
    if swept:
        picture = sensitivity.draw(figures, field, swept)
        files.write_pictures({"sensitivity": picture}, output)
    return text


def _folder(variant: str, name: str) -> str:
    return os.path.join(variant, urllib.parse.quote(name, safe="=+ "))


def _plan(
    config: str, row: Row, seed: int, output: str, data: str, overrides: Mapping[str, Any]
) -> Run:
    workdir = os.path.join(output, row.folder, f"seed{seed}")
    fields = {**overrides, **row.fields, "seed": seed, "data.directory": data}
    train = [f"--config={config}:{row.variant}", f"--workdir={workdir}"]
    train += [f"--config.{name}={value}" for name, value in fields.items()]
    experiment = runpy.run_path(config)["get_config"](row.variant)
    experiment.update_from_flattened_dict(fields)
    stamp = {
        "experiment": json.loads(config_file.to_json(experiment)),
        "data": files.sha256(os.path.join(data, "index.csv")),
    }
    return Run(row.name, seed, workdir, train, stamp)


def _check_fields(config: str, variant: str, overrides: Mapping[str, Any]) -> None:
    """Refuses a field that a variant does not have: the flags are those of the first one.

    Raises:
      UserError: that.
    """
    fields = runpy.run_path(config)["get_config"](variant).to_dict()
    for name in overrides:
        tree = fields
        for part in name.split("."):
            if not isinstance(tree, Mapping) or part not in tree:
                raise registry.UserError(
                    f"--config.{name}: the variant {variant} of {config} has no such field: leave "
                    "it out, or compare variants that have it."
                )
            tree = tree[part]


def _finish(run: Run, tags: Sequence[str]) -> None:
    """Trains and evaluates, each unless it is done."""
    path = os.path.join(run.workdir, "compare.json")
    if _trained(path) != run.stamp:
        _call(run, "train", run.train)
        states.write(path, {"trained": run.stamp})
    if _figures(run, tags) is None:
        _call(run, "eval", [f"--workdir={run.workdir}", f"--tags={','.join(tags)}"])
        if _figures(run, tags) is None:
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


def _figures(run: Run, tags: Sequence[str]) -> list[Result] | None:
    """Returns what was measured of a run as it stands; None unless all of it was.

    Raises:
      UserError: a file of it is damaged.
    """
    planned = plans.plan(run.workdir, tags).measured()
    every = [evaluations.find(run.workdir, wanted) for wanted in planned]
    found = [evaluation for evaluation in every if evaluation is not None]
    if len(found) < len(planned):
        return None
    return [result for evaluation in found for result in evaluation.results]


def _call(run: Run, binary: str, arguments: Sequence[str]) -> None:
    log = f"{run.workdir}.log"
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "a+", encoding="utf-8") as f:
        command = [sys.executable, "-m", f"tfav.bin.{binary}", *arguments]
        process = subprocess.Popen(command, stdout=f, stderr=subprocess.STDOUT)
        previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        try:
            failed = process.wait()
        except BaseException:
            process.terminate()  # a train run saves itself first
            process.wait()
            raise
        finally:
            signal.signal(signal.SIGTERM, previous)
        if failed:
            f.seek(0)
            last = (f.read().strip() or "it said nothing").splitlines()[-1]
            raise registry.UserError(
                f"{binary} of {run.variant} with seed {run.seed} failed ({last.rstrip('.')}): see "
                f"{log}, correct it and run the same command again."
            )
