"""Evaluates how a run bears clips that are cut short, and noise: similarity against both."""

import zlib
from collections.abc import Mapping, Sequence

import ml_collections
import numpy as np
import tensorflow as tf

from tfav import tensors
from tfav.commands.protocols import by_pairs, pair_trials, protocol
from tfav.evaluation import listening_conditions
from tfav.evaluation.listening_conditions import Condition
from tfav.experiment import models
from tfav.recipes import recipe as base
from tfav.reports import condition_curves, drawing

SECONDS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
SNRS_DB = (20.0, 10.0, 5.0, 0.0, -5.0)
_MOST_ITEMS = 150  # of either modality: every condition embeds the audio anew


class Conditions(protocol.Protocol):
    """The splits that the tags name, of a recipe whose embeddings share a space."""

    metrics = listening_conditions.METRICS
    compares = "embeddings of audio and image in one space, clips cut short or with noise"

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether the recipe has one space for audio and image."""
        return recipe.shares_space and pair_trials.fits(recipe, c)

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of the splits under each condition, with their curves."""
        results, pictures = [], {}
        c, recipe = context.config, context.run.recipe
        compare = pair_trials.scorer(c, recipe)
        for tag in context.tags:
            part = context.index.select(tag)
            pairs = pair_trials.PairTrials(c, recipe, part, compare, _MOST_ITEMS)
            heard = models.hearing(c).max_seconds
            seconds = np.minimum(pairs.audio.num_samples / tensors.SAMPLE_RATE_HZ, heard)
            conditions, notes = _conditions(tag, seconds)
            of_tag = listening_conditions.evaluate(
                {one: pairs.trials(_change(one, context.seed)) for one in conditions},
                tag=tag,
                resampled=pairs.resampled,
                notes=notes,
                num_bootstrap=context.num_bootstrap,
                seed=context.seed,
            )
            results += of_tag
            charts = condition_curves.charts(of_tag)
            pictures[tag] = {name: drawing.png(its.draw()) for name, its in charts.items()}
        return protocol.Evaluated(results, pictures)


def _conditions(tag: str, seconds: np.ndarray) -> tuple[list[Condition], tuple[str, ...]]:
    """Returns the conditions, and notes on lengths that few clips reach.

    Args:
      tag: which part of the data.
      seconds: [A] how much of each clip is heard.
    """
    reached = [s for s in SECONDS if np.mean(seconds >= s) >= 0.5]
    found = [Condition(seconds=s) for s in reached]
    found += [Condition(), *(Condition(snr_db=ratio) for ratio in SNRS_DB)]
    notes = []
    short = int(np.count_nonzero(seconds < reached[-1])) if reached else 0
    if short:
        notes.append(
            f"{tag}: {short:,} of {len(seconds):,} clips are shorter than {reached[-1]:g} s and "
            "are heard whole."
        )
    if len(reached) < len(SECONDS):
        left_out = " and ".join(f"{s:g} s" for s in SECONDS if s not in reached)
        notes.append(f"{tag}: fewer than half of the clips are heard for {left_out}.")
    return found, tuple(notes)


def _change(condition: Condition, seed: int) -> by_pairs.Change | None:
    """Returns what makes of a batch of audio one under a condition; None: it stays as it is."""
    if condition.seconds is not None:
        most = max(1, round(condition.seconds * tensors.SAMPLE_RATE_HZ))
        return lambda batch: _changed(batch, [clip[:most] for clip in _clips(batch)])
    if condition.snr_db is not None:
        ratio = condition.snr_db
        return lambda batch: _changed(batch, [_with_noise(x, ratio, seed) for x in _clips(batch)])
    return None


def _with_noise(clip: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    """Returns a clip with noise that its own samples and the seed decide, in whichever batch."""
    return listening_conditions.noisy(clip, snr_db, zlib.crc32(clip.tobytes(), seed))


def _clips(batch: Mapping[str, tf.Tensor]) -> list[np.ndarray]:
    counts = np.asarray(batch["num_samples"])
    return [clip[:count] for clip, count in zip(np.asarray(batch["audio"]), counts)]


def _changed(batch: tensors.Batch, clips: Sequence[np.ndarray]) -> dict[str, tf.Tensor]:
    """Returns a batch with other clips, zero padded to the longest."""
    counts = np.array([len(clip) for clip in clips], np.int32)
    padded = np.zeros((len(clips), counts.max()), np.float32)
    for row, clip in zip(padded, clips):
        row[: len(clip)] = clip
    changed = {"audio": tf.constant(padded), "num_samples": tf.constant(counts)}
    return {**batch, **changed}
