"""What a training is checked for before it takes hours: its data, its front-end, its validation."""

from collections.abc import Sequence

import ml_collections
from absl import logging

from tfav import registry
from tfav.commands.protocols import table as protocols
from tfav.data import shards
from tfav.data.input import lengths
from tfav.experiment import bad_records, models
from tfav.layers import spectrograms
from tfav.recipes import recipe as base

# An offset before the logarithm that is more of what the loudest tone has hides all that is softer.
_OFFSET_SHARE = 1e-2


def check_validated(c: ml_collections.ConfigDict, workdir: str) -> None:
    """Raises UserError where a first phase would not be validated twice, before it takes hours."""
    steps, every = c.train.num_steps, c.train.validate_every
    times = -(-steps // every) if every else 0
    if times < 2:
        raise registry.UserError(
            f"{workdir} would be validated {times} times, and blending compares two validations: "
            f"set --config.first_phase.train.validate_every to {steps // 2} or fewer."
        )


def check_groups(c: ml_collections.ConfigDict, index: shards.Index) -> None:
    """Raises UserError where the data lacks the column by which intervals are to be resampled."""
    if c.eval.groups and c.eval.groups not in index.extra:
        raise registry.UserError(
            f"--config.eval.groups={c.eval.groups}: {index.directory} has no such column: choose "
            f"from {', '.join(index.extra) or 'none'}, or leave it empty."
        )


def columns(names: Sequence[str], index: shards.Index, split: str) -> dict[str, list[str]]:
    """Returns the text of each label of a split in each column; empty where its rows differ.

    Raises:
      UserError: the data lacks a column.
    """
    lacking = [name for name in names if name not in index.extra]
    if lacking:
        raise registry.UserError(
            f"{index.directory} has no column {lacking[0]!r} that --config.model.covariates names: "
            f"choose from {', '.join(index.extra) or 'none'}."
        )
    part = index.select(split) if names else index
    found = {}
    for name in names:
        texts: dict[str, set[str]] = {label: set() for label in index.labels(split)}
        for label, text in zip(part.label.tolist(), part.extra[name].tolist()):
            texts[label].add(text)
        found[name] = [min(its) if len(its) == 1 else "" for its in texts.values()]
    return found


def check_lost(c: ml_collections.ConfigDict, index: shards.Index) -> None:
    """Raises UserError where shards have lost more records than a training tolerates."""
    if not c.data.max_bad_records:
        return  # reading the index has refused any
    mine = index.select(c.data.train_split)
    lost = mine.lost().nonzero()[0]
    if len(lost) > c.data.max_bad_records:
        first = str(mine.id[lost[0]])
        bad = {"id": first, "reason": "missing or cut", **bad_records.place_of(index, first)}
        raise registry.UserError(
            f"{len(lost)} of {len(mine)} records of {c.data.train_split} in {index.directory} are "
            f"gone and --config.data.max_bad_records={c.data.max_bad_records} allows fewer (first: "
            f"{bad_records.words(bad)}): copy the data set again, or raise that number."
        )


def check_validation(c: ml_collections.ConfigDict, index: shards.Index, *, needed: bool) -> None:
    """Raises UserError unless the data has what validation needs; `needed`: by the next phase."""
    try:
        protocols.check_data(c, index)
    except registry.UserError as error:
        if not needed:
            raise
        raise registry.UserError(
            f"{index.directory} cannot validate the first phase, by whose validations "
            "--config.loss.blending=estimated weighs the losses: prepare the data with a split "
            "val, or train a variant without blending."
        ) from error


def check_frontend(recipe: base.Recipe) -> None:
    """Raises UserError where bands of a log-mel spectrogram are the same whatever is heard."""
    frontends = [e.frontend for e in recipe.encoders.values() if e.item_spec.clip]
    for log_mel in (f for f in frontends if isinstance(f, spectrograms.LogMel)):
        empty = int((~log_mel.mel.any(axis=0)).sum())
        if empty:
            raise registry.UserError(
                f"--config.audio.frontend.num_mels={log_mel.num_bands}: {empty} of its bands hold "
                "no bin of the Fourier transform and would be the same for every sound: lower "
                "num_mels, or raise fft_length or the distance of lower_hz and upper_hz."
            )
        loudest = (log_mel.amplitude * log_mel.frame_length_samples) ** log_mel.power
        if log_mel.log_offset > _OFFSET_SHARE * loudest:
            raise registry.UserError(
                f"--config.audio.frontend.log_offset={log_mel.log_offset:g} hides all that is "
                f"softer than a tone at full scale, which has at most {loudest:.2g} with amplitude="
                f"{log_mel.amplitude:g}: lower it, or raise the amplitude."
            )


def count_unheard(c: ml_collections.ConfigDict, index: shards.Index) -> None:
    """Logs how many clips are longer than the longest crop."""
    if not any(spec.clip for spec in models.items(c).values()):
        return
    longest = c.data.audio_seconds[1]
    lost = lengths.unheard(index.select(c.data.train_split), longest)
    if lost.clips:
        logging.info(
            "a step hears up to %g s of a clip, from any place on: %d of %d clips of %s are longer "
            "(--config.data.audio_seconds)",
            longest,
            lost.clips,
            lost.of,
            c.data.train_split,
        )
