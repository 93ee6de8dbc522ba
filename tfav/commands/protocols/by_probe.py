"""Evaluates a run by its frozen features: a linear classifier on what it hears."""

import ml_collections
import numpy as np
import tensorflow as tf

from tfav import tensors
from tfav.commands.protocols import protocol
from tfav.data import shards
from tfav.evaluation import linear_probe, probe_parts
from tfav.experiment import inputs, models
from tfav.inference import recipe_embedder
from tfav.layers import frontend as frontends
from tfav.layers import spectrograms
from tfav.recipes import recipe as base
from tfav.reports import classification_plots, drawing

FOLD, CLIP, RECORDING = "fold", "clip", "recording"
TAG = "probe"
_BANDS = 64  # of the log-mel statistics that stand beside the features


class LinearProbe(protocol.Protocol):
    """All clips of the data.

    The data has a column `fold` (each fold is tested once) or splits train and test; a column
    `clip` joins subclips, a column `recording` says what clips were cut from.
    """

    metrics = linear_probe.METRICS
    compares = "features of audio"
    by_tag = False
    takes_tags = False  # a probe splits the whole data itself

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether there is an encoder of audio."""
        del recipe
        return "audio" in c.modalities

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the accuracy on all clips of the data, and the confusion matrix.

        Beside the run's features stand those of the same network untrained, and the mean and
        deviation of each log-mel band over time: what the training, and the network, are worth.

        Raises:
          UserError: no folds or splits, a recording in two folds, or no class that training and
            test share.
        """
        c, run, index = context.config, context.run, context.index
        part = index.take(np.flatnonzero(index.held("audio")))
        fold = part.extra.get(FOLD)
        if fold is not None:
            recording = part.extra.get(RECORDING, part.id)
            probe_parts.check_folds(fold, recording, part.directory)
        tests = probe_parts.parts(part.split, fold)
        clip = part.extra.get(CLIP, part.id)
        names, label = np.unique(part.label, return_inverse=True)
        fresh = models.model(c, max(2, len(run.labels)))
        results, pictures = [], {}
        for name, function in {
            "trained": run.recipe.embed,
            "untrained": fresh.embed,
            "log-mel statistics": _statistics,
        }.items():
            features = _features(c, recipe_embedder.RecipeEmbedder(run.recipe, function), part)
            found = linear_probe.probe(features, label, clip, tests, fold, seed=context.seed)
            results += linear_probe.evaluate(
                found,
                name,
                tag=TAG,
                num_bootstrap=context.num_bootstrap,
                seed=context.seed,
            )
            if name == "trained":
                matrix = np.zeros((len(names), len(names)), int)
                np.add.at(matrix, (found.label, found.predicted), 1)
                drawn = classification_plots.confusion(matrix, names.tolist())
                pictures["confusion"] = drawing.png(drawn)
        return protocol.Evaluated(results, {TAG: pictures})


def _features(
    c: ml_collections.ConfigDict, embedder: recipe_embedder.RecipeEmbedder, part: shards.Index
) -> np.ndarray:
    ids = {"audio": part.id.tolist()}
    vectors = inputs.embeddings(c, embedder.embed, part.directory, ids)["audio"]
    return np.stack([vectors[name] for name in part.id])


def _statistics(modality: str, batch: tensors.Batch) -> tf.Tensor:
    """Returns mean and deviation over time of each log-mel band, [B, 2 * bands]."""
    frontend = spectrograms.LogMel(num_mels=_BANDS, instance_norm=False)
    log_mel, num_frames = frontend(batch[modality], batch["num_samples"])
    valid = frontends.frame_mask(num_frames, tf.shape(log_mel)[1])
    count = tf.reduce_sum(valid, axis=1)
    mean = tf.reduce_sum(log_mel * valid, axis=1) / count
    spread = tf.square(log_mel - mean[:, tf.newaxis]) * valid
    return tf.concat([mean, tf.sqrt(tf.reduce_sum(spread, axis=1) / count)], axis=1)
