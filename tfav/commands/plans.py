"""What runs are to be evaluated on, before anything is loaded or embedded."""

import dataclasses
import os
from collections.abc import Sequence

import ml_collections

from tfav import config_file, registry
from tfav.commands.protocols import table
from tfav.data import shards
from tfav.experiment import evaluations, measurement, models
from tfav.training import environment


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one run is to be evaluated on.

    Attributes:
      config: Config of the run.
      protocols: names.
      tags: which query lists or splits.
      index: Index of the data.
      data: SHA-256 of that index.
      lists_dir: folder of lists.
      weights: SHA-256 of the run's weights.
      seed: Random seed.
    """

    config: ml_collections.ConfigDict
    protocols: Sequence[str]
    tags: Sequence[str]
    index: shards.Index
    data: str
    lists_dir: str
    weights: str
    seed: int

    def measured(self) -> list[measurement.Measured]:
        """Returns its measurements: one per protocol, or per protocol and tag.

        Raises:
          UserError: lists cannot be read.
        """
        found = []
        for name in self.protocols:
            protocol = table.find(name)
            each = [(tag,) for tag in self.tags] if protocol.by_tag else [tuple(self.tags)]
            for tags in each if protocol.takes_tags else [()]:
                found.append(
                    measurement.measured(
                        self.config,
                        name,
                        tags=tags,
                        data=self.data,
                        lists=protocol.reads(self.lists_dir, tags),
                        weights=self.weights,
                        seed=self.seed,
                    )
                )
        return found


def plan(
    workdir: str,
    tags: Sequence[str],
    lists_dir: str = "",
    directory: str = "",
    seed: int = evaluations.OWN_SEED,
    protocols: Sequence[str] = (),
    binarise: str = "",
) -> Plan:
    """Returns what a run is to be evaluated on.

    Args:
      workdir: Folder of a finished run.
      tags: which query lists or splits.
      lists_dir: folder of lists; empty: beside the data.
      directory: the data; empty: that of the run.
      seed: Random seed of the bootstrap resampling.
      protocols: rows of `table.PROTOCOLS` or dotted paths; none: those of the run's config.
      binarise: value of the config's `eval.binarise`; empty: that of the run.

    Raises:
      UserError: no finished run, an unknown protocol or one that does not fit its recipe, or a rule
        that no protocol follows.
    """
    c = config_file.load(workdir)
    c.eval.binarise = binarise or c.eval.binarise
    names = list(dict.fromkeys(protocols or c.eval.protocols))
    recipe = models.recipe_class(c)
    for name in names:
        table.fitting(name, recipe, c)
    if binarise and "localisation" not in names:
        raise registry.UserError(
            f"--binarise={binarise} means nothing to {' and '.join(names)}, which draw no maps: "
            "leave it out, or add localisation to --protocols."
        )
    weights = measurement.weights_sha256(workdir)
    return make(c, names, tags, directory or c.data.directory, lists_dir, weights, seed)


def make(
    c: ml_collections.ConfigDict,
    protocols: Sequence[str],
    tags: Sequence[str],
    directory: str,
    lists_dir: str,
    weights: str,
    seed: int,
) -> Plan:
    """Returns a plan, with the index of the data.

    Raises:
      UserError: no prepared data set there.
    """
    index = shards.Index.read(directory)
    data = measurement.data_sha256(directory)
    lists_dir = lists_dir or os.path.join(directory, "lists")
    return Plan(c, protocols, list(dict.fromkeys(tags)), index, data, lists_dir, weights, seed)


def own(workdir: str, its: Plan) -> list[measurement.Measured]:
    """Returns the measurements on the run's own terms; none unless all of them are planned.

    Args:
      workdir: Folder of the run.
      its: the plan.
    """
    c, directory = its.config, its.index.directory
    if c.eval.binarise != config_file.load(workdir).eval.binarise:
        return []
    terms = dataclasses.replace(its, protocols=c.eval.protocols, tags=[evaluations.OWN_TAG])
    if its.seed != evaluations.OWN_SEED or not _same_folder(directory, c.data.directory):
        return []
    if not _same_folder(its.lists_dir, os.path.join(directory, "lists")):
        return []
    starts = environment.starts(workdir)
    if not starts or starts[-1]["data_sha256"] != its.data:
        return []
    if evaluations.OWN_TAG not in its.tags or not {*c.eval.protocols} <= {*its.protocols}:
        return []
    wanted, taken = terms.measured(), its.measured()
    return wanted if all(place in taken for place in wanted) else []


def _same_folder(one: str, other: str) -> bool:
    """Says whether two paths lead to one folder, or are alike where there is none."""
    if os.path.isdir(one) and os.path.isdir(other):
        return os.path.samefile(one, other)
    return os.path.abspath(one) == os.path.abspath(other)
