"""Evaluates a run on query lists: matching, verification and retrieval."""

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import ml_collections
import numpy as np

from tfav import registry
from tfav.annotations import list_folder, lists
from tfav.commands.protocols import protocol
from tfav.data import shards
from tfav.evaluation import list_tasks, query_lists
from tfav.evaluation import space as spaces
from tfav.evaluation.result import Result
from tfav.experiment import inputs
from tfav.inference import recipe_embedder
from tfav.recipes import outputs
from tfav.recipes import recipe as base
from tfav.reports import curves

Found = list[tuple[lists.ListName, pathlib.Path]]


class Lists(protocol.Protocol):
    """The lists of each tag, each by the task that its name says.

    Args:
      tasks: what lists ask for, by protocol.
    """

    compares = "embeddings of unlike modalities in one space"
    page = "lists"

    def __init__(self, tasks: Mapping[str, list_tasks.ListTask] = list_tasks.TASKS):
        self.tasks = tasks
        self.forms = query_lists.forms(tasks)
        self.metrics = [metric for task in tasks.values() for metric in task.metrics]

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether the recipe has one space for audio and image."""
        both = {"audio", "image"} <= set(c.modalities)
        return both and outputs.shares_space(recipe)

    def reads(self, lists_dir: str, tags: Sequence[str]) -> dict[str, os.PathLike]:
        """Returns the lists of the tags, by file name."""
        return {path.name: path for _, path in self.find(lists_dir, tags)}

    def find(self, lists_dir: str | os.PathLike, tags: Sequence[str]) -> Found:
        """Returns the lists of the tags, in order.

        Raises:
          UserError: see `list_folder.find`.
        """
        return [item for tag in tags for item in list_folder.find(lists_dir, tag, self.forms)]

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of the lists of the tags, with their curves."""
        found = self.find(context.lists_dir, context.tags)
        ids = list_folder.items(found, self.forms)
        space = embed(context, ids)
        results, pictures = [], {}
        for tag in context.tags:
            of_tag = self.figures(context, tag, space)
            scores = {}
            if any(result.protocol == "verification" for result in of_tag):
                scores = query_lists.verification_scores(context.lists_dir, tag, space)
            pictures[tag] = curves.pictures(of_tag, scores)
            results += of_tag
        return protocol.Evaluated(results, pictures)

    def figures(self, context: protocol.Context, tag: str, space: spaces.Space) -> list[Result]:
        """Returns the figures of the lists of a tag."""
        return query_lists.evaluate(
            context.lists_dir,
            tag,
            space,
            num_bootstrap=context.num_bootstrap,
            seed=context.seed,
            tasks=self.tasks,
        )

    def check(self, c: ml_collections.ConfigDict, index: shards.Index) -> None:
        """Refuses data without lists of 1:2 matching for the split val."""
        del c  # every config is validated on the same lists
        _validation_lists(index.directory)

    def validation(
        self, c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
    ) -> Callable[[], Mapping[str, float]]:
        """Returns a function that gives 1:2 accuracy by direction, and their mean `val/metric`."""
        embedder = recipe_embedder.RecipeEmbedder(recipe)

        def validate() -> dict[str, float]:
            found = _validation_lists(index.directory)
            space = _space(c, embedder, index, list_folder.items(found))
            queries = [list_tasks.Query(name, path, space) for name, path in found]
            values = {
                f"val/matching_{query.name.direction}": list_tasks.matching(query)[0].value
                for query in queries
            }
            return {**values, "val/metric": float(np.mean(list(values.values())))}

        return validate


def embed(context: protocol.Context, ids: Mapping[str, Sequence[str]]) -> spaces.Space:
    """Returns the embeddings of what lists name, as far as the data holds it."""
    embedder = recipe_embedder.RecipeEmbedder(context.run.recipe)
    return _space(context.config, embedder, context.index, ids)


def _space(
    c: ml_collections.ConfigDict,
    embedder: recipe_embedder.RecipeEmbedder,
    index: shards.Index,
    ids: Mapping[str, Sequence[str]],
) -> spaces.Space:
    held = {m: set(index.id[index.held(m)]) for m in ids}
    there = {m: [name for name in names if name in held[m]] for m, names in ids.items()}
    there = {m: names for m, names in there.items() if names}
    vectors = inputs.embeddings(c, embedder.embed, index.directory, there)
    return spaces.Space(vectors, dict(zip(index.id, index.label)))


def _validation_lists(directory: str) -> Found:
    if "://" in directory:
        raise registry.UserError(
            f"{directory} is no folder of this machine, and query lists to pick the weights by are "
            f"read from one: copy the data set here, or {protocol.KEEP_LAST}."
        )
    folder = os.path.join(directory, "lists")
    some = os.path.isdir(folder) and any(map(lists.is_list, os.listdir(folder)))
    found = [
        (name, path)
        for name, path in (list_folder.find(folder) if some else ())
        if name.protocol == "matching"
        and (name.n, name.stratum, name.tag) == (2, "unrestricted", "val")
    ]
    if not found:
        raise registry.UserError(
            f"{folder} has no match_v2f_2_val.txt or match_f2v_2_val.txt to pick the weights by: "
            f"prepare a split val with lists, or {protocol.KEEP_LAST}."
        )
    return found
