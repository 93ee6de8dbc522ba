"""Evaluates a run by its frozen features: a linear classifier on what it hears."""

from collections.abc import Callable
from typing import NamedTuple

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
TRAINED, UNTRAINED, STATISTICS = "trained", "untrained", "log-mel statistics"
_BANDS = 64  # of the log-mel statistics that stand beside the features


class Clips(NamedTuple):
    """The clips of a data set that a probe is trained and tested on.

    Attributes:
      part: Index of the rows that have audio.
      names: of the classes.
      label: [N] int class of each row.
      clip: [N] what each row is a piece of.
      fold: [N] name of the fold of each row, or None where there are no folds.
      tests: Test parts, as `probe_parts.parts` returns them.
    """

    part: shards.Index
    names: np.ndarray
    label: np.ndarray
    clip: np.ndarray
    fold: np.ndarray | None
    tests: list[tuple[str, np.ndarray]]

    def probe(
        self,
        c: ml_collections.ConfigDict,
        features: Callable[[str, tensors.Batch], np.ndarray],
        seed: int,
    ) -> linear_probe.Probe:
        """Trains and tests linear classifiers on features of all clips, as the config hears them.

        Args:
          c: a config.
          features: (modality, batch) to features [B, D].
          seed: Random seed of the probe.

        Raises:
          UserError: no class that training and test share.
        """
        ids = {"audio": self.part.id.tolist()}
        vectors = inputs.embeddings(c, features, self.part.directory, ids)["audio"]
        matrix = np.stack([vectors[name] for name in self.part.id])
        return linear_probe.probe(matrix, self.label, self.clip, self.tests, self.fold, seed=seed)


def clips(index: shards.Index) -> Clips:
    """Returns the clips of a data set.

    Raises:
      UserError: no folds or splits, or a recording in two folds.
    """
    part = index.take(np.flatnonzero(index.held("audio")))
    fold = part.extra.get(FOLD)
    if fold is not None:
        probe_parts.check_folds(fold, part.extra.get(RECORDING, part.id), part.directory)
    names, label = np.unique(part.label, return_inverse=True)
    tests = probe_parts.parts(part.split, fold)
    return Clips(part, names, label, part.extra.get(CLIP, part.id), fold, tests)


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
        c, run = context.config, context.run
        its = clips(context.index)
        fresh = models.model(c, max(2, len(run.labels)))
        results, pictures = [], {}
        for name, function in {
            TRAINED: run.recipe.embed,
            UNTRAINED: fresh.embed,
            STATISTICS: _statistics,
        }.items():
            embedder = recipe_embedder.RecipeEmbedder(run.recipe, function)
            found = its.probe(c, embedder.embed, context.seed)
            results += linear_probe.evaluate(
                found,
                name,
                tag=TAG,
                num_bootstrap=context.num_bootstrap,
                seed=context.seed,
            )
            if name == TRAINED:
                matrix = np.zeros((len(its.names), len(its.names)), int)
                np.add.at(matrix, (found.label, found.predicted), 1)
                drawn = classification_plots.confusion(matrix, its.names.tolist())
                pictures["confusion"] = drawing.png(drawn)
        return protocol.Evaluated(results, {TAG: pictures})


def _statistics(modality: str, batch: tensors.Batch) -> tf.Tensor:
    """Returns mean and deviation over time of each log-mel band, [B, 2 * bands]."""
    frontend = spectrograms.LogMel(num_mels=_BANDS, instance_norm=False)
    log_mel, num_frames = frontend(batch[modality], batch["num_samples"])
    valid = frontends.frame_mask(num_frames, tf.shape(log_mel)[1])
    count = tf.reduce_sum(valid, axis=1)
    mean = tf.reduce_sum(log_mel * valid, axis=1) / count
    spread = tf.square(log_mel - mean[:, tf.newaxis]) * valid
    return tf.concat([mean, tf.sqrt(tf.reduce_sum(spread, axis=1) / count)], axis=1)
