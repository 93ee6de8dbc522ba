"""Evaluates a run by the classes it tells apart: fused, and by each modality alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import ml_collections
import numpy as np

from tfav import registry
from tfav.commands.protocols import protocol
from tfav.data import shards
from tfav.evaluation import classification, fusion_weights
from tfav.evaluation.result import Result
from tfav.experiment import inputs
from tfav.inference import recipe_embedder
from tfav.recipes import abilities, outputs
from tfav.recipes import recipe as base
from tfav.reports import classification_plots, drawing


class Scored(NamedTuple):
    """The rows of a split with what a classifier says of them.

    Attributes:
      part: N rows that hold some modality of the run.
      label: [N] int32, their classes.
      logits: `fused` and each modality to [N, C]; zero where a row lacks the modality.
      present: modality to [N] bool.
      features: modality to [N, D_m]; zero where a row lacks the modality, and
        [N, 0] where every row does.
    """

    part: shards.Index
    label: np.ndarray
    logits: Mapping[str, np.ndarray]
    present: Mapping[str, np.ndarray]
    features: Mapping[str, np.ndarray]


class Classification(protocol.Protocol):
    """The rows of the splits that the tags name."""

    metrics = classification.METRICS
    compares = "logits of classes"
    page = "classes"

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether the recipe has logits."""
        del c
        return outputs.classifies(recipe)

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of the splits, with confusion and calibration."""
        results, pictures = [], {}
        for tag in context.tags:
            scored = score(context, tag)
            results += figures(context, tag, scored)
            drawn = draw(context, scored)
            pictures[tag] = {name: drawing.png(figure) for name, figure in drawn.items()}
        return protocol.Evaluated(results, pictures)

    def check(self, c: ml_collections.ConfigDict, index: shards.Index) -> None:
        """Refuses data without rows of the split val that hold every modality."""
        part, _ = _labelled(c, protocol.validation_split(index), index.labels(c.data.train_split))
        if not _whole(c, part).any():
            raise registry.UserError(
                f"no row of the split val in {index.directory} holds {' and '.join(c.modalities)}: "
                f"prepare such rows, or {protocol.KEEP_LAST}."
            )

    def validation(
        self, c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
    ) -> Callable[[], Mapping[str, float]]:
        """Returns a function that gives accuracy and loss by modality.

        `val/metric` is the fused accuracy. Of a row, all of the config's modalities must be there,
        as in training; the losses are those of the heads that train, which gradient blending
        compares with `loss_*`.
        """
        assert outputs.classifies(recipe), "`fits` has said so"
        scorer = Scorer(c, recipe)
        part, label = _labelled(c, index.select("val"), index.labels(c.data.train_split))
        whole = np.flatnonzero(_whole(c, part))
        part, label = part.take(whole), label[whole]

        def validate() -> dict[str, float]:
            features = scorer.features(part)
            fitted = _fit_fusion(recipe, features, label)
            accuracy = {
                f"val/accuracy_{name}": classification.accuracy(np.asarray(value), label)
                for name, value in recipe.logits(features).items()
            }
            loss = {
                f"val/loss_{name}": classification.negative_log_likelihood(np.asarray(value), label)
                for name, value in recipe.loss_logits(features).items()
            }
            return {**accuracy, **loss, **fitted, "val/metric": accuracy["val/accuracy_fused"]}

        return validate


def _fit_fusion(
    recipe: base.Recipe, features: Mapping[str, np.ndarray], label: np.ndarray
) -> dict[str, float]:
    """Gives a recipe the weights of its modalities that suit a validation; returns them, logged."""
    if not outputs.fits_fusion(recipe):
        return {}
    logits = {name: np.asarray(value) for name, value in recipe.logits(features).items()}
    del logits[classification.FUSED]
    weights = fusion_weights.fit(logits, label)
    recipe.weigh(weights)
    return {f"val/fusion_weight_{m}": weight for m, weight in weights.items()}


def score(context: protocol.Context, tag: str) -> Scored:
    """Returns the rows of a split with what the run says of them."""
    part, label = _labelled(context.config, context.index.select(tag), context.run.labels)
    logits, present, features = Scorer(context.config, context.run.recipe).score(part)
    return Scored(part, label, logits, present, features)


def figures(context: protocol.Context, tag: str, scored: Scored) -> list[Result]:
    """Returns the figures of a split."""
    column = context.config.eval.groups
    groups = scored.part.extra.get(column) if column else None
    return classification.evaluate(
        scored.logits,
        scored.label,
        class_names=context.run.labels,
        groups=groups,
        grouped_by=column,
        present=scored.present,
        tag=tag,
        num_bootstrap=context.num_bootstrap,
        seed=context.seed,
    )


def draw(context: protocol.Context, scored: Scored) -> dict:
    """Returns figures of confusion and calibration."""
    labels = context.run.labels
    return classification_plots.draw(scored.logits, scored.label, labels, scored.present)


def _whole(c: ml_collections.ConfigDict, part: shards.Index) -> np.ndarray:
    """Returns [N] bool: which rows hold every modality."""
    return np.all([part.held(m) for m in c.modalities], axis=0)


def _labelled(
    c: ml_collections.ConfigDict, part: shards.Index, labels: Sequence[str]
) -> tuple[shards.Index, np.ndarray]:
    """Returns the rows that hold some modality of the run, and the class of each."""
    rank = {name: number for number, name in enumerate(labels)}
    strange = sorted(set(part.label) - set(rank))
    if strange:
        raise registry.UserError(
            f"{part.directory} has the label {str(strange[0])!r} in its split {part.split[0]}, "
            f"which the {len(labels)} classes of the training split do not have: correct it, or "
            "prepare that split for another protocol."
        )
    some = np.any([part.held(m) for m in c.modalities], axis=0)
    part = part.take(np.flatnonzero(some))
    return part, np.array([rank[name] for name in part.label], np.int32)


class Scorer:
    """Logits of rows, by a recipe whose weights may change between two calls."""

    def __init__(self, c: ml_collections.ConfigDict, recipe: base.Recipe):
        assert outputs.classifies(recipe), "`fits` has said so"
        self._config = c
        self._recipe: abilities.Classifier = recipe
        self._features = recipe_embedder.RecipeEmbedder(recipe, recipe.embed)

    def score(
        self, part: shards.Index
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Returns logits [N, C] of `fused` and each modality, where [N] each is, and its features.

        A row that lacks a modality is scored by the others; that modality's logits and features
        are zero there.
        """
        names = self._config.modalities
        present = {m: part.held(m) for m in names}
        vectors = self._vectors(part, present)
        shape = len(part), self._recipe.num_classes
        logits = {name: np.zeros(shape, np.float32) for name in (classification.FUSED, *names)}
        features = {}
        for m in names:
            there = np.flatnonzero(present[m])
            held = [vectors[m][name] for name in part.id[there]]
            features[m] = np.zeros((len(part), len(held[0]) if held else 0), np.float32)
            if held:
                features[m][there] = np.stack(held)
        patterns = np.stack([present[m] for m in names], axis=1)
        for pattern in np.unique(patterns, axis=0):
            rows = np.flatnonzero((patterns == pattern).all(axis=1))
            given = {m: features[m][rows] for m, there in zip(names, pattern) if there}
            for name, value in self._recipe.logits(given).items():
                logits[name][rows] = np.asarray(value)
        return logits, present, features

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
