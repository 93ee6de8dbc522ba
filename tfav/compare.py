"""Trains variants of one experiment over seeds and sets their figures side by side.

Each run is two processes of its own, train and eval, so none inherits another's graph, memory or
random state. What a run was made from is kept with it: the same call again repeats nothing.
"""

import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tqdm

from tfav import config as config_lib
from tfav import lists, registry
from tfav.evaluation import comparison, report
from tfav.training import environment


class Run(NamedTuple):
    """One variant with one seed: its folder, and what it is made from.

    Attributes:
      variant: of the config file.
      seed: of weights and order; `{seed}` in the data's name.
      workdir: of the run; its log lies beside it.
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
) -> str:
    """Trains and judges every variant with every seed, writes `table.md` and `results.json`.

    Args:
      config: a config file.
      variants: of that file, in the order of the table's rows.
      seeds: one run each.
      output: folder; holds VARIANT/seedN, and is continued when it holds finished runs.
      data: the data set's folder; `{seed}` in it stands for the seed.
      tags: which query lists, a table each.
      overrides: config fields of all variants, dotted name to value.
      baseline: the variant from which differences are taken; empty: the first.

    Returns:
      The Markdown tables.

    Raises:
      UserError: a name that does not exist, or a run that failed; names its log.
    """
    baseline = baseline or variants[0]
    if baseline not in variants:
        raise registry.UserError(
            f"--baseline={baseline} is not among --variants={','.join(variants)}: name one of them."
        )
    for field, flag in (("seed", "--seeds"), ("data.directory", "--data")):
        if field in (overrides or {}):
            raise registry.UserError(f"--config.{field} is what {flag} gives: leave it out.")
    # All runs are looked at before the first one takes an hour. Seeds outside: a table of the seeds
    # that are done is fair to every variant.
    runs = [
        _plan(config, variant, seed, output, data.replace("{seed}", str(seed)), overrides or {})
        for seed in dict.fromkeys(seeds)
        for variant in dict.fromkeys(variants)
    ]
    with tqdm.tqdm(runs, unit="run", disable=None) as progress:
        for run in progress:
            progress.set_description(f"{run.variant}, seed {run.seed}")
            _finish(run, tags)
    found: dict[str, list[report.Results]] = {}
    for run in runs:
        with open(os.path.join(run.workdir, "metrics.json"), encoding="utf-8") as f:
            found.setdefault(run.variant, []).append(json.load(f)["results"])
    figures = comparison.summarise(found, baseline)
    text = comparison.table(figures, baseline)
    about = {"command": sys.argv, "config": config, "seeds": list(dict.fromkeys(seeds))}
    environment.write_text(os.path.join(output, "table.md"), text)
    environment.write_json(
        os.path.join(output, "results.json"),
        {"about": {**about, "data": data, "baseline": baseline}, "figures": figures},
    )
    return text


def _plan(
    config: str, variant: str, seed: int, output: str, data: str, overrides: Mapping[str, Any]
) -> Run:
    workdir = os.path.join(output, variant, f"seed{seed}")
    fields = {**overrides, "seed": seed, "data.directory": data}
    train = [f"--config={config}:{variant}", f"--workdir={workdir}"]
    train += [f"--config.{name}={value}" for name, value in fields.items()]
    experiment = runpy.run_path(config)["get_config"](variant)
    experiment.update_from_flattened_dict(fields)
    stamp = {
        "experiment": json.loads(config_lib.to_json(experiment)),
        "data": lists.sha256(os.path.join(data, "index.csv")),
    }
    return Run(variant, seed, workdir, train, stamp)


def _finish(run: Run, tags: Sequence[str]) -> None:
    """Trains and evaluates, each unless it is done."""
    path = os.path.join(run.workdir, "compare.json")
    done = {}
    with contextlib.suppress(FileNotFoundError, ValueError), open(path, encoding="utf-8") as f:
        done = json.load(f)
    if done.get("trained") != run.stamp:
        _call(run, "train", run.train)
        done = {"trained": run.stamp}
        environment.write_json(path, done)
    if done.get("evaluated") != list(tags):
        _call(run, "eval", [f"--workdir={run.workdir}", f"--tags={','.join(tags)}"])
        environment.write_json(path, {**done, "evaluated": list(tags)})


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
                f"{log}, mend it and run the same command again."
            )
