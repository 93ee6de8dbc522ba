"""Judges a run by the classes it tells apart: fused, and by each modality alone."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np

from tfav import registry
from tfav.data import shards
from tfav.evaluation import classification
from tfav.experiment import inputs, models
from tfav.inference import recipe_embedder
from tfav.recipes import recipe as base
from tfav.reports import classification_plots


def check(c: ml_collections.ConfigDict, index: shards.Index) -> None:
    """Raises UserError unless `index` has what validation needs."""
    if "val" not in index.info["splits"]:
        raise registry.UserError(
            f"{index.directory} has no split val to pick the weights by: prepare one, or keep the "
            "last weights with --config.train.validate_every=0."
        )
    part, _ = _labelled(c, index.select("val"), index.labels(c.data.train_split))
    if not np.all([part.held(m) for m in c.modalities], axis=0).any():
        raise registry.UserError(
            f"no row of the split val in {index.directory} holds {' and '.join(c.modalities)}: "
            "prepare such rows, or keep the last weights with --config.train.validate_every=0."
        )


def _labelled(
    c: ml_collections.ConfigDict, part: shards.Index, labels: Sequence[str]
) -> tuple[shards.Index, np.ndarray]:
    """Returns the rows that hold some modality of the run, and the class of each."""
    rank = {name: number for number, name in enumerate(labels)}
    strange = sorted(set(part.label) - set(rank))
    if strange:
        raise registry.UserError(
            f"{part.directory} has the label {str(strange[0])!r} in its split {part.split[0]}, "
            f"which the {len(labels)} classes of the training split do not have: mend it, or "
            "prepare that split for another protocol."
        )
    some = np.any([part.held(m) for m in c.modalities], axis=0)
    part = part.take(np.flatnonzero(some))
    return part, np.array([rank[name] for name in part.label], np.int32)


class Scorer:
    """Logits of rows, by a recipe whose weights may change between two calls."""

    def __init__(self, c: ml_collections.ConfigDict, recipe: base.Recipe):
        self._config = c
        self._recipe = recipe
        self._features = recipe_embedder.RecipeEmbedder(recipe, recipe.embed)

    def score(self, part: shards.Index) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Returns logits [N, C] of `fused` and each modality, and where [N] each modality is.

        A row that lacks a modality is scored by the others; that modality's logits are zero there.
        """
        names = self._config.modalities
        present = {m: part.held(m) for m in names}
        vectors = self._vectors(part, present)
        shape = len(part), self._recipe.num_classes
        logits = {name: np.zeros(shape, np.float32) for name in ("fused", *names)}
        patterns = np.stack([present[m] for m in names], axis=1)
        for pattern in np.unique(patterns, axis=0):
            rows = np.flatnonzero((patterns == pattern).all(axis=1))
            features = {
                m: np.stack([vectors[m][name] for name in part.id[rows]])
                for m, there in zip(names, pattern)
                if there
            }
            for name, value in self._recipe.logits(features).items():
                logits[name][rows] = np.asarray(value)
        return logits, present

    def features(self, part: shards.Index) -> dict[str, np.ndarray]:
        """Returns the features [N, D_m] of rows that hold every modality."""
        everywhere = dict.fromkeys(self._config.modalities, np.ones(len(part), bool))
        vectors = self._vectors(part, everywhere)
        return {m: np.stack([found[name] for name in part.id]) for m, found in vectors.items()}

    def _vectors(
        self, part: shards.Index, present: Mapping[str, np.ndarray]
    ) -> dict[str, dict[str, np.ndarray]]:
        ids = {m: part.id[there].tolist() for m, there in present.items() if there.any()}
        return inputs.embeddings(self._config, self._features.embed, part.directory, ids)


def validation(c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index):
    """Returns a function that gives accuracy and loss by modality; `val/metric` is the fused one's.

    Of a row, all of the config's modalities must be there, as in training; the losses are those of
    the heads that train, which gradient blending compares with `loss_*`.
    """
    scorer = Scorer(c, recipe)
    part, label = _labelled(c, index.select("val"), index.labels(c.data.train_split))
    whole = np.flatnonzero(np.all([part.held(m) for m in c.modalities], axis=0))
    part, label = part.take(whole), label[whole]

    def validate() -> dict[str, float]:
        features = scorer.features(part)
        accuracy = {
            f"val/accuracy_{name}": classification.accuracy(np.asarray(value), label)
            for name, value in recipe.logits(features).items()
        }
        loss = {
            f"val/loss_{name}": classification.negative_log_likelihood(np.asarray(value), label)
            for name, value in recipe.loss_logits(features).items()
        }
        return {**accuracy, **loss, "val/metric": accuracy["val/accuracy_fused"]}

    return validate


def judge(
    run: models.Trained,
    index: shards.Index,
    output: str,
    tags: Sequence[str],
    lists_dir: str,
    seed: int,
) -> tuple[list[dict[str, Any]], list[os.PathLike]]:
    """Returns the figures of the splits `tags`, and the plots it wrote below `output`."""
    del lists_dir  # a split is its own list
    results: list[dict[str, Any]] = []
    written: list[os.PathLike] = []
    for tag in tags:
        logits, label, groups, present = score(run, index, tag)
        results += classification.evaluate(
            logits,
            label,
            class_names=run.labels,
            groups=groups,
            present=present,
            tag=tag,
            num_bootstrap=run.config.eval.num_bootstrap,
            seed=seed,
        )
        folder = os.path.join(output, "plots", tag)
        written += classification_plots.plots(logits, label, run.labels, folder, present)
    return results, written


def score(
    run: models.Trained, index: shards.Index, tag: str
) -> tuple[Mapping[str, np.ndarray], np.ndarray, np.ndarray | None, Mapping[str, np.ndarray]]:
    """Returns logits, classes, groups (of the interval) and presence of the rows of a split."""
    part, label = _labelled(run.config, index.select(tag), run.labels)
    logits, present = Scorer(run.config, run.recipe).score(part)
    column = run.config.eval.groups
    groups = part.extra.get(column) if column else None
    return logits, label, groups, present
