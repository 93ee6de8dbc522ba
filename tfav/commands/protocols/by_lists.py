"""Judges a run on query lists: matching, verification and retrieval."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np

from tfav import registry
from tfav.annotations import lists
from tfav.data import shards
from tfav.evaluation import query_lists
from tfav.evaluation import space as spaces
from tfav.experiment import inputs, models
from tfav.inference import recipe_embedder
from tfav.recipes import recipe as base
from tfav.reports import tables


def check(c: ml_collections.ConfigDict, index: shards.Index) -> None:
    """Raises UserError unless `index` has what validation needs."""
    del c  # every config is validated on the same lists
    _validation_lists(index.directory)


def _validation_lists(directory: str) -> list[tuple[lists.ListName, pathlib.Path]]:
    folder = os.path.join(directory, "lists")
    found = [
        (name, path)
        for name, path in lists.find(folder, "val")
        if name.protocol == "matching" and name.n == 2 and name.stratum == "unrestricted"
    ]
    if not found:
        raise registry.UserError(
            f"{folder} has no match_v2f_2_val.txt or match_f2v_2_val.txt to pick the weights "
            f"by: prepare a val "
            "split, or keep the last weights with --config.train.validate_every=0."
        )
    return found


def embeddings(
    c: ml_collections.ConfigDict,
    embedder: recipe_embedder.RecipeEmbedder,
    index: shards.Index,
    ids: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, np.ndarray]]:
    """Embeds what lists name, as far as the data holds it: the protocols judge what is missing."""
    held = {m: set(index.id[index.held(m)]) for m in ids}
    there = {m: [name for name in names if name in held[m]] for m, names in ids.items()}
    there = {m: names for m, names in there.items() if names}
    return inputs.embeddings(c, embedder.embed, index.directory, there)


def validation(c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index):
    """Returns a function that gives 1:2 accuracy by direction, and their mean `val/metric`."""
    embedder = recipe_embedder.RecipeEmbedder(recipe)

    def validate() -> dict[str, float]:
        found = _validation_lists(index.directory)
        vectors = embeddings(c, embedder, index, lists.items(found))
        space = spaces.Space(vectors, dict(zip(index.id, index.label)))
        values = {
            f"val/matching_{name.direction}": query_lists.matching(
                path, space, name.direction, 0, 0
            )[0].value
            for name, path in found
        }
        return {**values, "val/metric": float(np.mean(list(values.values())))}

    return validate


def judge(
    run: models.Trained,
    index: shards.Index,
    output: str,
    tags: Sequence[str],
    lists_dir: str,
    seed: int,
) -> tuple[list[dict[str, Any]], list[os.PathLike]]:
    """Returns the figures of the lists of `tags`, and the plots it wrote below `output`."""
    c = run.config
    found = [item for tag in tags for item in lists.find(lists_dir, tag)]
    embedder = recipe_embedder.RecipeEmbedder(run.recipe)
    vectors = embeddings(c, embedder, index, lists.items(found))
    labels = dict(zip(index.id, index.label))
    results, pictures = [], []
    for tag in tags:
        of_tag = query_lists.evaluate(
            lists_dir, tag, vectors, labels, num_bootstrap=c.eval.num_bootstrap, seed=seed
        )
        scores = query_lists.verification_scores(lists_dir, tag, vectors, labels)
        pictures += tables.plots(of_tag, scores, os.path.join(output, "plots", tag))
        results += of_tag
    return results, pictures
