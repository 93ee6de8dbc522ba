"""Which runs may stand in one table, and how far they are from each other."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfav import registry
from tfav.commands import plans
from tfav.evaluation import paired_runs
from tfav.evaluation.result import Result
from tfav.experiment import measurement
from tfav.reports import tables

# A source so called draws its data from a seed: corpora of one shape are draws of one thing.
_SEEDED = "synthetic"


def check(workdirs: Sequence[str], planned: Sequence[plans.Plan]) -> bool:
    """Says whether runs are evaluated on the same trials; False for seeded data of one shape.

    Args:
      workdirs: Workdirs of the runs.
      planned: what each is to be evaluated on.

    Raises:
      UserError: one run twice; or other protocols, settings, data or lists, whose figures have no
        common mean.
    """
    first = planned[0]
    known: dict[str, str] = {}
    for workdir, its in zip(workdirs, planned):
        if its.weights in known:
            raise registry.UserError(
                f"--workdir={','.join(workdirs)}: {known[its.weights]} and {workdir} are one run "
                "(their weights are the same): name each run once."
            )
        known[its.weights] = workdir
        what = None
        if its.protocols != first.protocols:
            what = "by other protocols", "name one protocol for all with --protocols"
        elif _settings(its) != _settings(first):
            words = " and ".join(
                f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
                for name, value in _settings(its).items()
                if value != _settings(first).get(name)
            )
            what = f"with other settings (eval.{words})", "train them with the same"
        elif its.data != first.data:
            if not _alike(first, its):
                words = f"on other data ({its.index.directory})"
                what = words, "evaluate all on one with --data=DIR"
        elif _lists(its) != _lists(first):
            what = f"on other lists ({its.lists_dir})", "evaluate all on one with --lists=DIR"
        if what:
            raise registry.UserError(
                f"{workdir} is evaluated {what[0]} than {workdirs[0]}, so that their figures have "
                f"no common mean: {what[1]}, or evaluate the runs one by one."
            )
    return len({its.data for its in planned}) == 1


def _settings(its: plans.Plan) -> dict[str, Any]:
    """Returns what a run's config says of its evaluation, as far as it changes a figure's value."""
    each = [measurement.settings(its.config, protocol) for protocol in its.protocols]
    found = {name: value for settings in each for name, value in settings.items()}
    return {name: value for name, value in found.items() if name != "num_bootstrap"}


def _lists(its: plans.Plan) -> list[Mapping[str, str]]:
    return [measured.lists for measured in its.measured()]


def _alike(one: plans.Plan, other: plans.Plan) -> bool:
    """Says whether two data sets are draws of one source: seeded, and of one shape."""
    infos = [its.index.info for its in (one, other)]
    return infos[0]["source"].startswith(_SEEDED) and _shape(infos[0]) == _shape(infos[1])


def _shape(info: Mapping[str, Any]) -> tuple:
    splits = {
        name: {key: value for key, value in its.items() if key != "labels"}
        for name, its in info["splits"].items()
    }
    return info["source"], info["modalities"], splits


def differences(
    workdirs: Sequence[str], found: Sequence[Sequence[Result]], same: bool
) -> Iterator[str]:
    """Yields how far each run is from the first, on the same trials and resamples.

    Args:
      workdirs: Workdirs of the runs.
      found: the results of each.
      same: what `check` says.
    """
    if not same:
        yield "no differences between the runs: each was evaluated on data of its own seed"
        return
    called = short(workdirs)
    for name, results in zip(called[1:], found[1:]):
        shown, left_out = paired_runs.differences(results, found[0])
        if shown:
            yield tables.difference_table(shown, name, called[0])
        if left_out:
            yield (
                f"{left_out} figures of {name} are over other trials than those of {called[0]} and "
                "are not compared"
            )


def short(workdirs: Sequence[str]) -> list[str]:
    """Returns what to call runs: the last part of each path, as much of it as tells them apart."""
    parts = [os.path.abspath(workdir).split(os.sep) for workdir in workdirs]
    for length in range(1, max(map(len, parts))):
        found = [os.path.join(*its[-length:]) for its in parts]
        if len(set(found)) == len(set(map(tuple, parts))):
            return found
    return list(workdirs)
