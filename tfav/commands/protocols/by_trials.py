"""Evaluates a run on trial lists: are two items of one speaker?

A classifier compares the logits of two clips, fused and of each modality; a recipe whose embeddings
share a space compares those, audio with audio, image with image, and audio with image.
"""

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence

import ml_collections
import numpy as np

from tfav import registry
from tfav.annotations import lists
from tfav.commands.protocols import by_classes, protocol
from tfav.data import shards
from tfav.evaluation import trial_lists, trials
from tfav.experiment import inputs
from tfav.inference import recipe_embedder
from tfav.recipes import outputs
from tfav.recipes import recipe as base

SUFFIXES = (".csv", ".csv.gz", ".txt", ".txt.gz")

Directions = Mapping[str, tuple[trials.Vectors, trials.Vectors]]


class Trials(protocol.Protocol):
    """Every trial list of the folder of lists, over the rows of the splits that the tags name."""

    metrics = trials.METRICS
    compares = "logits or embeddings of two items"
    by_tag = False  # an item may be of any of the splits

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether the recipe has logits, or one space for its embeddings."""
        del c
        return outputs.classifies(recipe) or recipe.shares_space

    def reads(self, lists_dir: str, tags: Sequence[str]) -> dict[str, str]:
        """Returns the trial lists of a folder, by file name: those that are no query list.

        Raises:
          UserError: there is none.
        """
        del tags  # choose splits
        names = sorted(os.listdir(lists_dir)) if os.path.isdir(lists_dir) else []
        found = {
            name: os.path.join(lists_dir, name)
            for name in names
            if name.endswith(SUFFIXES) and not lists.is_list(name)
        }
        if not found:
            raise registry.UserError(
                f"{lists_dir} holds no trial list (lines of label,item1,item2 in a .csv or .txt): "
                "name its folder with --lists=DIR."
            )
        return found

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of every trial list.

        Raises:
          UserError: no trial list there; what the lists say of other data.
        """
        paths = self.reads(context.lists_dir, context.tags).values()
        index = context.index
        part = index.take(np.flatnonzero(np.isin(index.split, list(context.tags))))
        some = np.any([part.held(m) for m in context.config.modalities], axis=0)
        part = part.take(np.flatnonzero(some))
        if not len(part):
            raise registry.UserError(
                f"{index.directory} has no rows in {', '.join(context.tags)} to compare: name "
                "other --tags."
            )
        compare = _logits if outputs.classifies(context.run.recipe) else _embeddings
        directions = compare(context, part, _named(part, paths))
        return protocol.Evaluated(
            [
                result
                for path in paths
                for result in trials.evaluate(
                    path,
                    part.id.tolist(),
                    directions,
                    speakers=part.label.tolist(),
                    num_bootstrap=context.num_bootstrap,
                    seed=context.seed,
                )
            ]
        )


def _named(part: shards.Index, paths: Iterable[str]) -> np.ndarray:
    """Returns the rows of `part` that trial lists name, ascending: no other is embedded.

    Raises:
      UserError: a list is malformed or made for other data.
    """
    ids = part.id.tolist()
    found: list[np.ndarray] = []
    for path in paths:
        listed = trial_lists.read(path)
        found += trial_lists.rows(path, listed, ids, trials.MAX_MISSING_FRACTION)[:2]
    named = np.unique(np.concatenate(found))
    return named[named >= 0]


def _logits(context: protocol.Context, part: shards.Index, rows: np.ndarray) -> Directions:
    """Returns what a classifier compares: `fused` and each modality, each with itself."""
    scorer = by_classes.Scorer(context.config, context.run.recipe)
    logits, present, _ = scorer.score(part.take(rows))
    found = {}
    for name, values in logits.items():
        there = present.get(name, np.ones(len(rows), bool))
        if there.any():
            found[name] = _spread(values[there], rows[there], len(part))
    return {name: (vectors, vectors) for name, vectors in found.items()}


def _embeddings(context: protocol.Context, part: shards.Index, rows: np.ndarray) -> Directions:
    """Returns what embeddings in one space compare: every pair of modalities, `audio-image`."""
    held = {m: rows[part.held(m)[rows]] for m in context.config.modalities}
    held = {m: its for m, its in held.items() if len(its)}
    embed = recipe_embedder.RecipeEmbedder(context.run.recipe).embed
    ids = {m: part.id[its].tolist() for m, its in held.items()}
    vectors = inputs.embeddings(context.config, embed, part.directory, ids)
    found = {
        m: _spread(np.stack([vectors[m][name] for name in ids[m]]), its, len(part))
        for m, its in held.items()
    }
    pairs = itertools.combinations_with_replacement(found, 2)
    return {f"{one}-{other}": (found[one], found[other]) for one, other in pairs}


def _spread(values: np.ndarray, rows: np.ndarray, num_rows: int) -> trials.Vectors:
    """Returns vectors [n, D] of some rows as those of all rows."""
    every = np.zeros([num_rows, values.shape[1]], values.dtype)
    present = np.zeros(num_rows, bool)
    every[rows], present[rows] = values, True
    return trials.Vectors(every, present)
