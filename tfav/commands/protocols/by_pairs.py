"""Judges a run by what belongs together: matched against mismatched pairs of sound and picture."""

import os
from collections.abc import Sequence
from typing import Any

import ml_collections
import numpy as np

from tfav import registry
from tfav.data import shards
from tfav.evaluation import correspondence
from tfav.experiment import inputs, models
from tfav.inference import recipe_embedder
from tfav.recipes import recipe as base

_BLOCK_ROWS = 64  # of a score matrix at a time


def check(c: ml_collections.ConfigDict, index: shards.Index) -> None:
    """Raises UserError unless `index` has what validation needs."""
    if "val" not in index.info["splits"]:
        raise registry.UserError(
            f"{index.directory} has no split val to pick the weights by: prepare one, or keep the "
            "last weights with --config.train.validate_every=0."
        )
    paired(c, index.select("val"))


def paired(c: ml_collections.ConfigDict, part: shards.Index) -> shards.Index:
    """Returns the rows that hold both modalities, at least two."""
    both = np.all([part.held(m) for m in c.modalities], axis=0)
    if np.count_nonzero(both) < 2:
        raise registry.UserError(
            f"{part.directory} has {np.count_nonzero(both)} rows with sound and picture in the "
            "split to be judged, where a mismatch takes two: prepare more."
        )
    return part.take(np.flatnonzero(both))


class Scorer:
    """Scores of all pairs, by a recipe whose weights may change between two calls."""

    def __init__(self, c: ml_collections.ConfigDict, recipe: base.Recipe):
        self._config = c
        self._recipe = recipe
        self._represent = recipe_embedder.RecipeEmbedder(recipe, recipe.represent)
        self._shapes = {
            m: recipe.represent(m, {m: encoder.example()}).shape[1:]
            for m, encoder in recipe.encoders.items()
        }

    def score(self, part: shards.Index) -> np.ndarray:
        """Returns [N, N]: how well the sound of row i fits the picture of row j."""
        ids = dict.fromkeys(self._config.modalities, part.id.tolist())
        found = inputs.embeddings(self._config, self._represent.embed, part.directory, ids)
        sides = {}
        for modality, vectors in found.items():
            flat = np.stack([vectors[name] for name in part.id])
            sides[modality] = flat.reshape([len(part), *self._shapes[modality]])
        rows = range(0, len(part), _BLOCK_ROWS)
        blocks = [
            np.asarray(
                self._recipe.pair_scores(sides["audio"][i : i + _BLOCK_ROWS], sides["image"])
            )
            for i in rows
        ]
        return np.concatenate(blocks)


def validation(c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index):
    """Returns a function that gives the AUC of the split val as `val/metric`; labels are unused."""
    scorer = Scorer(c, recipe)
    part = paired(c, index.select("val"))

    def validate() -> dict[str, float]:
        matched, mismatched = correspondence.draw(scorer.score(part), None, c.seed)
        return {"val/metric": correspondence.auc(matched, mismatched)}

    return validate


def judge(
    run: models.Trained,
    index: shards.Index,
    output: str,
    tags: Sequence[str],
    lists_dir: str,
    seed: int,
) -> tuple[list[dict[str, Any]], list[os.PathLike]]:
    """Returns the figures of the splits `tags`."""
    del output, lists_dir  # figures alone, of whole splits
    scorer = Scorer(run.config, run.recipe)
    results: list[dict[str, Any]] = []
    for tag in tags:
        part = paired(run.config, index.select(tag))
        results += correspondence.evaluate(
            scorer.score(part),
            part.label,
            tag=tag,
            num_bootstrap=run.config.eval.num_bootstrap,
            seed=seed,
        )
    return results, []
