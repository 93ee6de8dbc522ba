"""What every way to evaluate a run has: one object per protocol."""

import abc
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections

from tfav import registry
from tfav.data import shards
from tfav.evaluation.metric import Metric
from tfav.evaluation.result import Result
from tfav.experiment import models
from tfav.inference import spaces
from tfav.recipes import recipe as base

KEEP_LAST = "keep the last weights with --config.train.validate_every=0"


@dataclasses.dataclass(frozen=True)
class Context:
    """What a run is evaluated on.

    Attributes:
      run: The run with its weights.
      index: Index of the data.
      tags: which query lists or splits.
      lists_dir: folder of lists.
      seed: Random seed of the bootstrap resampling and of what else is drawn.

    Raises:
      UserError: the data hold vectors of another embedding space than the run was trained on.
    """

    run: models.Trained
    index: shards.Index
    tags: Sequence[str] = ("test",)
    lists_dir: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        trained_on = self.run.recipe.vector_spaces
        spaces.require_inputs(self.index.directory, self.index.vector_spaces, trained_on)

    @property
    def config(self) -> ml_collections.ConfigDict:
        """The config of the run."""
        return self.run.config

    @property
    def num_bootstrap(self) -> int:
        """Resamples behind each interval; 0: no intervals."""
        return self.run.config.eval.num_bootstrap


class Evaluated(NamedTuple):
    """What a protocol found.

    Attributes:
      results: the figures.
      pictures: part of the data (a tag) to name to a PNG.
    """

    results: list[Result]
    pictures: Mapping[str, Mapping[str, bytes]] = {}


class Protocol(abc.ABC):
    """A way to evaluate a run.

    A class of one's own is used by the dotted path of an instance, in `--protocols` or in
    `--config.eval.protocols`.

    Attributes:
      metrics: what it measures.
      compares: what it compares or scores, as in "..., which compare embeddings".
      by_tag: whether each tag is a measurement of its own; False: all tags together are one.
      takes_tags: whether tags choose what it reads; False: it reads the whole data.
      page: how `tfav-report` shows a run whose first protocol it is: a row of `report.PAGES` or a
        dotted path.
    """

    metrics: Sequence[Metric] = ()
    compares: str = "something else"
    by_tag: bool = True
    takes_tags: bool = True
    page: str = "figures"

    @abc.abstractmethod
    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether a recipe can be evaluated so."""

    @abc.abstractmethod
    def evaluate(self, context: Context) -> Evaluated:
        """Returns the figures of `context.tags`.

        Raises:
          UserError: the data or the lists lack what is read of them; names it and the fix.
        """

    def reads(self, lists_dir: str, tags: Sequence[str]) -> Mapping[str, str | os.PathLike]:
        """Returns the lists it reads, by file name; by default none: a split is its own list."""
        del lists_dir, tags
        return {}

    def check(self, c: ml_collections.ConfigDict, index: shards.Index) -> None:
        """Refuses a training whose validation could not work; by default there is none.

        Raises:
          UserError: that, before anything is trained.
        """
        del index
        raise registry.UserError(
            f"--config.eval.protocols={tuple(c.eval.protocols)}: the first one cannot validate "
            f"while training: put another before it, or {KEEP_LAST}."
        )

    def validation(
        self, c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
    ) -> Callable[[], Mapping[str, Any]]:
        """Returns a function that gives the scalars of a validation.

        Of them `val/metric` picks the weights. Only called where `check` passes.
        """
        raise NotImplementedError(f"{type(self).__name__} checks but does not validate")


def validation_split(index: shards.Index) -> shards.Index:
    """Returns the rows of the split val.

    Raises:
      UserError: there is none.
    """
    if "val" not in index.info["splits"]:
        raise registry.UserError(
            f"{index.directory} has no split val to pick the weights by: prepare one, or "
            f"{KEEP_LAST}."
        )
    return index.select("val")
