"""Trains variants of one experiment over seeds and sets their figures side by side.

A sweep makes more of them: one variant with each of several values of a field.

Each run is two processes of its own, train and eval, so none inherits another's graph, memory or
random state. What a run was made from is kept with it: the same call again repeats nothing.
"""

import contextlib
import json
import math
import os
import runpy
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tqdm

from tfav import config as config_lib
from tfav import files, registry
from tfav.reports import comparison, tables


class Row(NamedTuple):
    """One row of the table.

    Attributes:
      name: in the table.
      variant: of the config file.
      folder: of its runs, below the output.
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
    sweep: str = "",
) -> str:
    """Trains and judges every variant with every seed, writes `table.md` and `results.json`.

    Args:
      config: a config file.
      variants: of that file, in the order of the table's rows.
      seeds: one run each.
      output: folder; holds VARIANT/seedN, and is continued when it holds finished runs.
      data: the data set's folder; `{seed}` in it stands for the seed.
      tags: which query lists or splits, a table each.
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
    variants = list(dict.fromkeys(variants))
    rows = [Row(variant, variant, variant, {}) for variant in variants]
    field, swept = "", {}
    if sweep:
        field, values = _sweep(sweep, config, variants[0], overrides or {})
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
    # All runs are looked at before the first one takes an hour. Seeds outside: a table of the seeds
    # that are done is fair to every variant.
    runs = [
        _plan(config, row, seed, output, data.replace("{seed}", str(seed)), overrides or {})
        for seed in dict.fromkeys(seeds)
        for row in rows
    ]
    with tqdm.tqdm(runs, unit="run", disable=None) as progress:
        for run in progress:
            progress.set_description(f"{run.variant}, seed {run.seed}")
            _finish(run, tags)
    found: dict[str, list[tables.Results]] = {}
    for run in runs:
        with open(os.path.join(run.workdir, "metrics.json"), encoding="utf-8") as f:
            found.setdefault(run.variant, []).append(json.load(f)["results"])
    figures = comparison.summarise(found, baseline)
    text = comparison.table(figures, baseline)
    about = {"command": sys.argv, "config": config, "seeds": list(dict.fromkeys(seeds))}
    files.write_text(os.path.join(output, "table.md"), text)
    about |= {"data": data, "baseline": baseline, **({"sweep": sweep} if sweep else {})}
    files.write_json(os.path.join(output, "results.json"), {"about": about, "figures": figures})
    if swept:
        picture = comparison.sensitivity_plot(figures, field, swept)
        files.write_pictures({"sensitivity": picture}, output)
    return text


def _sweep(
    sweep: str, config: str, variant: str, overrides: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Returns the field of a sweep, and its values by how they were written."""
    field, _, rest = sweep.partition(":")
    texts = [text.strip() for text in rest.split(",")]
    if not field or not all(texts):
        raise registry.UserError(
            f"--sweep={sweep}: write FIELD:VALUE,VALUE,..., such as train.learning_rate:0.01,0.1."
        )
    for taken, flag in {"seed": "--seeds", "data.directory": "--data"}.items():
        if field == taken:
            raise registry.UserError(f"--sweep={sweep}: {field} is what {flag} gives: use that.")
    if field in overrides:
        raise registry.UserError(
            f"--config.{field} and --sweep={sweep} set one field: leave one of them out."
        )
    node = runpy.run_path(config)["get_config"](variant)
    *path, last = field.split(".")
    try:
        for part in path:
            node = node[part]
        kind = node.get_type(last)
    except (AttributeError, KeyError, TypeError) as error:
        raise registry.UserError(
            f"--sweep={sweep}: the variant {variant} of {config} has no field {field}: name one as "
            "after --config., such as train.learning_rate."
        ) from error
    if kind not in _VALUES:
        raise registry.UserError(
            f"--sweep={sweep}: {field} holds no single value ({kind.__name__}): sweep a field that "
            "is a number, a word or true/false."
        )
    what, read = _VALUES[kind]
    values: dict[str, Any] = {}
    for text in texts:
        try:
            value = read(text)
        except (ValueError, KeyError) as error:
            raise registry.UserError(
                f"--sweep={sweep}: {text!r} is no value of {field}: give {what}."
            ) from error
        if value not in values.values():
            values[text] = value
    return field, values


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(text)
    return float(text)


# Type of a field to what its values are, and how one is read.
_VALUES = {
    bool: ("true or false", lambda text: {"true": True, "false": False}[text.lower()]),
    int: ("whole numbers", int),
    float: ("numbers", _finite),
    str: ("words", str),
}


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
        "experiment": json.loads(config_lib.to_json(experiment)),
        "data": files.sha256(os.path.join(data, "index.csv")),
    }
    return Run(row.name, seed, workdir, train, stamp)


def _finish(run: Run, tags: Sequence[str]) -> None:
    """Trains and evaluates, each unless it is done."""
    path = os.path.join(run.workdir, "compare.json")
    done = {}
    with contextlib.suppress(FileNotFoundError, ValueError), open(path, encoding="utf-8") as f:
        done = json.load(f)
    if done.get("trained") != run.stamp:
        _call(run, "train", run.train)
        done = {"trained": run.stamp}
        files.write_json(path, done)
    if done.get("evaluated") != list(tags):
        _call(run, "eval", [f"--workdir={run.workdir}", f"--tags={','.join(tags)}"])
        files.write_json(path, {**done, "evaluated": list(tags)})


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
