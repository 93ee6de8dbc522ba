"""Judges runs: each protocol of a config, its figures, its plots."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import ml_collections

from tfav import config, files, registry
from tfav.commands.protocols import by_classes, by_lists, by_maps, by_pairs, by_probe, by_trials
from tfav.data import shards
from tfav.experiment import models
from tfav.interop import pytorch
from tfav.recipes import recipe
from tfav.reports import tables


def _no_validation(c: ml_collections.ConfigDict, *_: object) -> None:
    raise registry.UserError(
        f"--config.eval.protocols={tuple(c.eval.protocols)}: the first one cannot validate while "
        "training; put another before it, or set --config.train.validate_every=0."
    )


class Judge(NamedTuple):
    """One way to judge a run.

    Attributes:
      judge: (run, index, output, tags, lists_dir, seed) returns figures and the files it wrote.
      check: (config, index) raises UserError where validation in training could not work.
      validation: (config, recipe, index) returns a function that gives the scalars of a validation,
        of which `val/metric` picks the weights.
    """

    judge: Callable
    check: Callable = _no_validation
    validation: Callable = _no_validation


JUDGES = {
    "lists": Judge(by_lists.judge, by_lists.check, by_lists.validation),
    "classification": Judge(by_classes.judge, by_classes.check, by_classes.validation),
    "trials": Judge(by_trials.judge),
    "correspondence": Judge(by_pairs.judge, by_pairs.check, by_pairs.validation),
    "localisation": Judge(by_maps.judge),
    "linear_probe": Judge(by_probe.judge),
}


def find(name: str) -> Judge:
    """Returns a row of `JUDGES`."""
    return registry.lookup(JUDGES, name, "protocol")


def evaluate(
    workdirs: Sequence[str],
    tags: Sequence[str],
    lists_dir: str = "",
    directory: str = "",
    seed: int = 0,
    protocols: Sequence[str] = (),
) -> Iterator[str]:
    """Judges runs: writes `metrics.json` and plots into each, yields text to print.

    With `protocols`, the file is `metrics_PROTOCOLS.json`: the run's own figures stay.

    Args:
      workdirs: of finished runs. Of several a table of their spread follows.
      tags: which query lists or splits, such as `test`.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data; empty: that of the run.
      seed: of the bootstrap.
      protocols: rows of `JUDGES`; none: those of the run's config.
    """
    runs = []
    for workdir in workdirs:
        run = models.trained(workdir)
        data = directory or run.config.data.directory
        names = protocols or run.config.eval.protocols
        path = os.path.join(workdir, "_".join(["metrics", *protocols]) + ".json")
        results, written = _judge(run, names, path, tags, lists_dir, data, seed)
        yield tables.text_table(results)
        yield from (f"wrote {path}" for path in written)
        runs.append(results)
    if len(runs) > 1:
        yield tables.spread_table(runs)


def evaluate_released(
    released: str,
    output: str,
    tags: Sequence[str],
    lists_dir: str = "",
    directory: str = "",
    seed: int = 0,
) -> Iterator[str]:
    """Judges the authors' training checkpoint like a run of ours, see `evaluate`.

    Args:
      released: their `.pth.tar` file.
      output: folder for `metrics.json` and plots, made if absent.
      tags: which lists, such as `test`.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data.
      seed: of the bootstrap.
    """
    for flag, value in (("data", directory), ("output", output)):
        if not value:
            raise registry.UserError(f"--{flag} is missing: with --released give --{flag}=DIR.")
    c = config.base()  # images of 112 pixels and ten seconds of sound, as they evaluate
    c.eval.min_seconds = c.eval.audio_seconds  # they repeat what is shorter
    encoders = {m: pytorch.load_released(released, m, whole=True) for m in pytorch.RELEASED}
    facts = {"released": released, "sha256": files.sha256(released)}
    run = models.Trained(c, recipe.Recipe(encoders, heads={}), facts)
    run.recipe.hearing = models.hearing(c)
    os.makedirs(output, exist_ok=True)
    path = os.path.join(output, "metrics.json")
    results, written = _judge(run, ("lists",), path, tags, lists_dir, directory, seed)
    yield tables.text_table(results)
    yield from (f"wrote {path}" for path in written)


def _judge(
    run: models.Trained,
    names: Sequence[str],
    path: str,
    tags: Sequence[str],
    lists_dir: str,
    directory: str,
    seed: int,
) -> tuple[list[dict[str, Any]], list[os.PathLike]]:
    """Writes figures to `path` and plots beside it; returns the figures and all files."""
    index = shards.Index.read(directory)
    lists_dir = lists_dir or os.path.join(index.directory, "lists")
    results: list[dict[str, Any]] = []
    pictures: list[os.PathLike] = []
    for judge in [find(name) for name in names]:
        figures, written = judge.judge(run, index, os.path.dirname(path), tags, lists_dir, seed)
        results += figures
        pictures += written
    about = {"weights": run.facts, "data": index.directory, "lists": lists_dir, "seed": seed}
    files.write_text(path, tables.to_json(results, about))
    return results, [*pictures, path]
