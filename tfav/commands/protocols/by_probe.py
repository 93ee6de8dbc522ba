"""Judges a run by its frozen features: a linear classifier on what it hears."""

import os
from collections.abc import Sequence
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from tfav import files, registry
from tfav.data import shards
from tfav.evaluation import linear_probe
from tfav.experiment import inputs, models
from tfav.inference import recipe_embedder
from tfav.layers import frontend as frontends
from tfav.layers import spectrograms
from tfav.reports import classification_plots

FOLD, CLIP, RECORDING = "fold", "clip", "recording"
_BANDS = 64  # of the log-mel statistics that stand beside the features


def judge(
    run: models.Trained,
    index: shards.Index,
    output: str,
    tags: Sequence[str],
    lists_dir: str,
    seed: int,
) -> tuple[list[dict[str, Any]], list[os.PathLike]]:
    """Returns the accuracy on all sounds of the data, and the confusion matrix it wrote.

    Beside the run's features stand those of the same network untrained, and the mean and deviation
    of each log-mel band over time: what the training, and the network, are worth.

    The data has a column `fold` (each fold is tested once) or splits train and test; a column
    `clip` joins subclips, a column `recording` says what clips were cut from.

    Raises:
      UserError: no sound, no folds or splits, or a recording in two folds.
    """
    del tags, lists_dir  # a probe splits the whole data itself
    c = run.config
    if "audio" not in run.recipe.encoders:
        raise registry.UserError("a linear probe judges sounds, and this run has no audio encoder.")
    part = index.take(np.flatnonzero(index.held("audio")))
    fold = part.extra.get(FOLD)
    if fold is not None:
        recording = part.extra.get(RECORDING, part.id)
        linear_probe.check_folds(fold, recording, part.directory)
    tests = linear_probe.parts(part.split, fold)
    clip = part.extra.get(CLIP, part.id)
    names, label = np.unique(part.label, return_inverse=True)
    fresh = models.model(c, max(2, len(run.labels)))
    rows: list[dict[str, Any]] = []
    pictures: dict[str, bytes] = {}
    for name, function in {
        "trained": run.recipe.embed,
        "untrained": fresh.embed,
        "log-mel statistics": _statistics,
    }.items():
        features = _features(c, recipe_embedder.RecipeEmbedder(run.recipe, function), part)
        found = linear_probe.probe(features, label, clip, tests, fold, seed=seed)
        rows += linear_probe.figures(
            found, name, tag="probe", num_bootstrap=c.eval.num_bootstrap, seed=seed
        )
        if name == "trained":
            matrix = np.zeros((len(names), len(names)), int)
            np.add.at(matrix, (found.label, found.predicted), 1)
            pictures["confusion"] = classification_plots.confusion(matrix, names.tolist())
    return rows, files.write_pictures(pictures, os.path.join(output, "plots", "probe"))


def _features(
    c: ml_collections.ConfigDict, embedder: recipe_embedder.RecipeEmbedder, part: shards.Index
) -> np.ndarray:
    ids = {"audio": part.id.tolist()}
    vectors = inputs.embeddings(c, embedder.embed, part.directory, ids)["audio"]
    return np.stack([vectors[name] for name in part.id])


def _statistics(modality: str, batch: dict[str, tf.Tensor]) -> tf.Tensor:
    """Returns mean and deviation over time of each log-mel band, [B, 2 * bands]."""
    frontend = spectrograms.LogMel(num_mels=_BANDS, instance_norm=False)
    log_mel, num_frames = frontend(batch[modality], batch["num_samples"])
    valid = frontends.frame_mask(num_frames, tf.shape(log_mel)[1])
    count = tf.reduce_sum(valid, axis=1)
    mean = tf.reduce_sum(log_mel * valid, axis=1) / count
    spread = tf.square(log_mel - mean[:, tf.newaxis]) * valid
    return tf.concat([mean, tf.sqrt(tf.reduce_sum(spread, axis=1) / count)], axis=1)
