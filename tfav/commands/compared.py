"""What is compared: the rows of the table, and the runs that they are made of."""

import json
import os
import runpy
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections

from tfav import config_file, registry
from tfav.commands import plans
from tfav.commands.protocols import table
from tfav.experiment import measurement, models


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


class Asked(NamedTuple):
    """What runs are evaluated on.

    Attributes:
      tags: which query lists or splits.
      protocols: names; none: those of each run's config.
      data: Folder of the data, in which `{seed}` stands for the seed; empty: each run's own.
    """

    tags: Sequence[str]
    protocols: Sequence[str] = ()
    data: str = ""


class Run(NamedTuple):
    """One row with one seed: its folder, and what it is made from.

    Attributes:
      variant: name of the row.
      seed: Random seed of weights and order; `{seed}` in the data's name.
      workdir: Folder of the run; its log lies beside it.
      train: arguments of tfav-train.
      stamp: what must be the same for a finished run to be taken as it is.
      asked: what it is evaluated on.
      config: Config of the run.
    """

    variant: str
    seed: int
    workdir: str
    train: list[str]
    stamp: dict[str, Any]
    asked: Asked
    config: ml_collections.ConfigDict

    @property
    def measured_on(self) -> str:
        """Folder of the data that it is evaluated on."""
        return self.asked.data or self.config.data.directory

    def evaluate(self) -> list[str]:
        """Returns the arguments of tfav-eval."""
        its = self.asked
        found = [f"--workdir={self.workdir}", f"--tags={','.join(its.tags)}"]
        found += [f"--protocols={','.join(its.protocols)}"] if its.protocols else []
        return found + ([f"--data={its.data}"] if its.data else [])

    def planned(self) -> plans.Plan:
        """Returns what the run, which is trained, is to be evaluated on."""
        its = self.asked
        return plans.plan(self.workdir, its.tags, directory=its.data, protocols=its.protocols)


def swept(variant: str, field: str, values: Mapping[str, Any]) -> list[Row]:
    """Returns a row for each value of a field.

    Args:
      variant: Variant of the config file.
      field: dotted name.
      values: name of the row to the field's value.
    """
    folders = {name: urllib.parse.quote(name, safe="=+ ") for name in values}
    return [
        Row(name, variant, os.path.join(variant, folders[name]), {field: value})
        for name, value in values.items()
    ]


def run(
    config: str,
    row: Row,
    seed: int,
    output: str,
    data: str,
    overrides: Mapping[str, Any],
    asked: Asked,
) -> Run:
    """Returns a run of a row.

    Args:
      config: a config file.
      row: the row.
      seed: Random seed.
      output: Folder of the comparison.
      data: Folder of the training data, in which `{seed}` stands for the seed.
      overrides: config fields of all rows, dotted name to value.
      asked: what it is evaluated on.

    Raises:
      UserError: no prepared data set there, or a protocol that does not fit the recipe.
    """
    data, measured = (folder.replace("{seed}", str(seed)) for folder in (data, asked.data))
    workdir = os.path.join(output, row.folder, f"seed{seed}")
    fields = {**overrides, **row.fields, "seed": seed, "data.directory": data}
    train = [f"--config={config}:{row.variant}", f"--workdir={workdir}"]
    train += [f"--config.{name}={value}" for name, value in fields.items()]
    experiment = runpy.run_path(config)["get_config"](row.variant)
    experiment.update_from_flattened_dict(fields)
    stamp = {
        "experiment": json.loads(config_file.to_json(experiment)),
        "data": measurement.data_sha256(data),
    }
    for name in asked.protocols:
        table.fitting(name, models.recipe_class(experiment), experiment)
    if measured:
        measurement.data_sha256(measured)
    asked = asked._replace(data=measured)
    return Run(row.name, seed, workdir, train, stamp, asked, experiment)


def check_fields(config: str, variant: str, overrides: Mapping[str, Any]) -> None:
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
