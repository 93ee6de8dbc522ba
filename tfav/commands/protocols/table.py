"""The table of protocols, and which of them fit a recipe."""

from collections.abc import Callable, Mapping
from typing import Any

import ml_collections

from tfav import registry
from tfav.commands.protocols import (
    by_calibration,
    by_classes,
    by_clusters,
    by_conditions,
    by_lists,
    by_maps,
    by_missing,
    by_operations,
    by_pair_retrieval,
    by_pairs,
    by_probe,
    by_trials,
    protocol,
)
from tfav.data import shards
from tfav.experiment import models
from tfav.recipes import recipe as base

PROTOCOLS: dict[str, protocol.Protocol] = {
    "lists": by_lists.Lists(),
    "classification": by_classes.Classification(),
    "missing_modalities": by_missing.MissingModalities(),
    "trials": by_trials.Trials(),
    "correspondence": by_pairs.Correspondence(),
    "pair_retrieval": by_pair_retrieval.PairRetrieval(),
    "localisation": by_maps.Localisation(),
    "clusters": by_clusters.Clusters(),
    "calibration": by_calibration.Calibration(),
    "conditions": by_conditions.Conditions(),
    "operations": by_operations.Operations(),
    "linear_probe": by_probe.LinearProbe(),
}


def find(name: str) -> protocol.Protocol:
    """Returns a row of `PROTOCOLS`, or the object at a dotted path.

    Raises:
      UserError: neither is there, or the path leads to something else.
    """
    return registry.lookup(PROTOCOLS, name, "protocol", registry.instance(protocol.Protocol))


def fitting(
    name: str, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict
) -> protocol.Protocol:
    """Returns a protocol that fits a recipe.

    Raises:
      UserError: it does not; names those that do.
    """
    found = find(name)
    if not found.fits(recipe, c):
        others = [row for row, its in PROTOCOLS.items() if its.fits(recipe, c)]
        raise registry.UserError(
            f"the recipe {c.recipe} cannot be evaluated by {name}, which compares "
            f"{found.compares}: choose {' or '.join(others)} by --protocols, or in a config by "
            "eval.protocols."
        )
    return found


def check_fit(c: ml_collections.ConfigDict) -> None:
    """Raises UserError where a protocol of a config does not fit its recipe."""
    recipe = models.recipe_class(c)
    for name in c.eval.protocols:
        fitting(name, recipe, c)


def check_data(c: ml_collections.ConfigDict, index: shards.Index) -> None:
    """Raises UserError where the data lacks what the validation of a training needs."""
    if c.train.validate_every:
        find(c.eval.protocols[0]).check(c, index)


def validation(
    c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
) -> Callable[[], Mapping[str, Any]] | None:
    """Returns the function that validates a training; None where none is wanted."""
    if not c.train.validate_every:
        return None
    return find(c.eval.protocols[0]).validation(c, recipe, index)
