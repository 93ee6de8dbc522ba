"""Evaluates runs: each protocol of a config, its figures, its plots."""

import errno
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import NamedTuple

from tfav import config, files, registry
from tfav.commands import comparable, destinations, plans
from tfav.commands.protocols import protocol as protocols_base
from tfav.commands.protocols import table
from tfav.evaluation.result import Result
from tfav.experiment import evaluations, models
from tfav.experiment.evaluations import Evaluation
from tfav.interop import pytorch, released_networks
from tfav.recipes import recipe as base
from tfav.reports import tables

_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


class _Found(NamedTuple):
    """What one run's evaluation gave: a measurement and its pictures, by tag, each."""

    evaluations: list[Evaluation]
    pictures: list[Mapping[str, Mapping[str, bytes]]]

    @property
    def results(self) -> list[Result]:
        return [result for evaluation in self.evaluations for result in evaluation.results]


def evaluate(
    workdirs: Sequence[str],
    tags: Sequence[str],
    lists_dir: str = "",
    directory: str = "",
    seed: int = evaluations.OWN_SEED,
    protocols: Sequence[str] = (),
    output: str = "",
    binarise: str = "",
    found: dict[str, list] | None = None,
) -> Iterator[str]:
    """Evaluates runs, keeps each measurement in the run's folder, yields text to print.

    See `evaluations` for what is written where.

    Args:
      workdirs: Folders of finished runs. Of several, a table of their spread follows and, where
        all are on the same data, how far each is from the first.
      tags: which query lists or splits, such as `test`.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data; empty: that of the run.
      seed: Random seed of the bootstrap resampling.
      protocols: rows of `table.PROTOCOLS` or dotted paths; none: those of the run's config.
      output: folder for `metrics.json` and plots, instead of the run's; empty: the run's.
      binarise: how localisation makes a map say where, instead of the run's `eval.binarise`.
      found: takes the figures, workdir to a list of their JSON forms.

    Raises:
      UserError: a protocol that does not fit; several runs of unlike data, lists or protocols.
    """
    if output and len(workdirs) > 1:
        raise registry.UserError(
            f"--output={output} holds the figures of one run and --workdir names "
            f"{len(workdirs)}: evaluate them one by one, or leave --output out."
        )
    if output:
        destinations.check_folder("output", output, "figures")
    planned = [
        plans.plan(w, tags, lists_dir, directory, seed, protocols, binarise) for w in workdirs
    ]
    same = comparable.check(workdirs, planned)
    every = []
    for workdir, its in zip(workdirs, planned):
        run = models.trained(workdir)
        run.config.eval.binarise = its.config.eval.binarise
        evaluated = _evaluate(run, its)
        yield tables.text_table(evaluated.results)
        yield from _write(workdir, output, its, evaluated)
        every.append(evaluated.results)
        _note(found, workdir, evaluated)
    if len(every) > 1:
        yield tables.spread_table(every)
        yield from comparable.differences(workdirs, every, same)


def evaluate_released(
    released: str,
    output: str,
    tags: Sequence[str],
    lists_dir: str = "",
    directory: str = "",
    seed: int = evaluations.OWN_SEED,
    protocols: Sequence[str] = (),
    found: dict[str, list] | None = None,
) -> Iterator[str]:
    """Evaluates the authors' training checkpoint like a run of ours, see `evaluate`.

    Args:
      released: their `.pth.tar` file.
      output: folder for `metrics.json` and plots, made if absent.
      tags: which lists, such as `test`.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data.
      seed: Random seed of the bootstrap resampling.
      protocols: rows of `table.PROTOCOLS`; none: lists.
      found: takes the figures, `released` to a list of their JSON forms.
    """
    for flag, value in (("data", directory), ("output", output)):
        if not value:
            raise registry.UserError(f"--{flag} is missing: with --released give --{flag}=DIR.")
    destinations.check_folder("output", output, "figures")
    c = config.base()  # images of 112 pixels and ten seconds of audio, as they evaluate
    c.eval.min_seconds = c.eval.audio_seconds  # they repeat what is shorter
    encoders = {
        m: pytorch.load_released(released, m, whole=True) for m in released_networks.NETWORKS
    }
    facts = {"released": released, "sha256": files.sha256(released)}
    run = models.Trained(c, base.Recipe(encoders, heads={}), facts)
    run.recipe.hearing = models.hearing(c)
    names = list(protocols) or ["lists"]
    for name in names:
        table.fitting(name, run.recipe, c)
    its = plans.make(c, names, tags, directory, lists_dir, facts["sha256"], seed)
    evaluated = _evaluate(run, its)
    yield tables.text_table(evaluated.results)
    yield from _write("", output, its, evaluated)
    _note(found, released, evaluated)


def _note(found: dict[str, list] | None, name: str, evaluated: _Found) -> None:
    if found is not None:
        found[name] = [result.to_json() for result in evaluated.results]


def _evaluate(run: models.Trained, its: plans.Plan) -> _Found:
    """Returns what each protocol found, measurement by measurement."""
    context = protocols_base.Context(run, its.index, its.tags, its.lists_dir, its.seed)
    about = {
        "weights": dict(run.facts),
        "data": its.index.directory,
        "lists": its.lists_dir,
        "seed": its.seed,
    }
    found = _Found([], [])
    places = its.measured()
    for name in its.protocols:
        evaluated = table.find(name).evaluate(context)
        mine = [place for place in places if place.protocol == name]
        strange = {r.tag for r in evaluated.results}.difference(its.tags)
        if len(mine) > 1 and strange:
            raise ValueError(f"{name} gives figures of {strange}: its by_tag must be False.")
        for place in mine:
            tags = place.tags if len(mine) > 1 else None  # a single one has all there is
            results = [r for r in evaluated.results if tags is None or r.tag in tags]
            found.evaluations.append(Evaluation([place], results, about))
            pictures = evaluated.pictures.items()
            found.pictures.append({t: p for t, p in pictures if tags is None or t in tags})
    return found


def _write(workdir: str, output: str, its: plans.Plan, found: _Found) -> Iterator[str]:
    """Writes what was found, and yields lines that say so."""
    try:
        if output:
            written = evaluations.write_whole(
                output, _joined(found.evaluations), _below("plots", found.pictures)
            )
        else:
            written = yield from _store(workdir, its, found)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        yield (
            f"nothing was written: {output or workdir} cannot be written ({error.strerror}); name "
            "another folder with --output=DIR."
        )
        return
    yield from (f"wrote {path}" for path in written)


def _store(workdir: str, its: plans.Plan, found: _Found) -> Generator[str, None, list[str]]:
    """Writes what was found into the run's folder; returns the files."""
    mine = plans.own(workdir, its)
    both = list(zip(found.evaluations, found.pictures))
    # Several protocols may draw into one folder.
    pictures = _below("plots", [drawn for e, drawn in both if e.measured[0] in mine])
    for evaluation, of_measurement in both:
        (place,) = evaluation.measured
        if place not in mine:
            folder = os.path.join(evaluations.FOLDER, place.key)
            several = len(of_measurement) > 1
            pictures |= {
                os.path.join(folder, tag) if several else folder: drawn
                for tag, drawn in of_measurement.items()
            }
    own = _joined([e for e in found.evaluations if e.measured[0] in mine]) if mine else None
    written = evaluations.write(workdir, found.evaluations, pictures, own)
    if own is None:
        yield (
            f"{os.path.join(workdir, evaluations.OWN)} stays as it is: it holds the figures on the "
            f"run's own data and lists, by its own protocols, of the tag {evaluations.OWN_TAG}"
        )
    return written


def _below(
    folder: str, pictures: Sequence[Mapping[str, Mapping[str, bytes]]]
) -> dict[str, Mapping[str, bytes]]:
    """Returns the pictures of each tag in a folder of its own."""
    found: dict[str, Mapping[str, bytes]] = {}
    for of_measurement in pictures:
        for tag, drawn in of_measurement.items():
            place = os.path.join(folder, tag)
            found[place] = {**found.get(place, {}), **drawn}
    return found


def _joined(found: Sequence[Evaluation]) -> Evaluation:
    places = [place for evaluation in found for place in evaluation.measured]
    results = [result for evaluation in found for result in evaluation.results]
    return Evaluation(places, results, dict(found[0].about))
