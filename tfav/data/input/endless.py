"""Endless batches for training: distinct identities, or distinct rows.

The order and all randomness are functions of (seed, step), so a data set is resumed by starting it
at a step, and N replicas see the rows that one would see.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfav import registry
from tfav.data import kinds, shards
from tfav.data.input import identity_pool, sampling
from tfav.data.input import reader as reading
from tfav.data.input.batches import Batches

_LARGE_BYTES = 1 << 22  # of columns: some ten milliseconds of tracing


def identity_batches(
    directory: str | os.PathLike,
    split: str,
    *,
    batch_size: int,
    seed: int,
    items: Mapping[str, kinds.Item],
    audio_seconds: tuple[float, float],
    num_lengths: int = 0,
    start_step: int = 0,
    tolerant: bool = False,
) -> Batches:
    """Prepares endless batches of distinct identities, one random row of each modality each.

    No TensorFlow op runs before the returned function is called, so this may precede the strategy.

    Args:
      directory: a prepared data set.
      split: whose rows to draw from.
      batch_size: rows of the global batch, over all replicas.
      seed: of the run. The global batch of step s depends on (seed, s) alone.
      items: `audio` and `image` to what is asked of each; of images one frame, any one of its row.
      audio_seconds: shortest and longest stretch of audio; each step draws one length for its
        batch. Each row begins at a place of its own; clips that are too short repeat.
      num_lengths: how many lengths there are, spread evenly over `audio_seconds`; 0: any.
      start_step: first step to produce; resuming is starting there.
      tolerant: replace records that cannot be read, see `Batches`.

    Returns:
      A function for `strategy.distribute_datasets_from_function`. Its elements are Batches of one
      replica, b = batch_size / replicas: `audio` [b, T] float32, `image` [b, S, S, 3] uint8, or
      what else `items` says of them as `row_batches` has it; `label` [b] int32, rank in the
      split's labels. With several replicas per pipeline, a step's replicas follow each other.

    Raises:
      UserError: not a prepared data set, a shard that is missing or cut short, an unknown
        augmentation, fewer identities than rows in a batch, or a batch the replicas cannot share.
    """
    index = shards.Index.read(directory, cut=tolerant).select(split)
    reading.check_kinds(index, items)
    items = {name: _one_frame(item) for name, item in items.items()}
    make = {name: it.kind.training(name, it, audio_seconds) for name, it in items.items()}
    bounds = _stretch(items, audio_seconds)
    pool = identity_pool.make_pool(index, index.labels(split))
    if batch_size < 1 or len(pool) < batch_size:
        raise registry.UserError(
            f"split {split!r} of {index.directory} has {len(pool)} identities with both modalities "
            f"and a batch takes {batch_size} distinct ones: set --config.train.batch_size to "
            f"{len(pool)} or fewer, or add identities."
        )

    its_columns = [getattr(pool, field.name) for field in dataclasses.fields(pool)]
    columns = _lifted([*its_columns, index.num_samples])

    def plan(step: tf.Tensor, attempt: int = 0) -> dict[str, tf.Tensor]:
        *its, num_samples = columns()
        return sampling.draw_identities(
            seed,
            step,
            identity_pool.Pool(*its),
            num_samples,
            batch_size=batch_size,
            length_samples=bounds,
            num_lengths=num_lengths,
            attempt=attempt,
        )

    def load(reader: reading.Reader, row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch: dict[str, tf.Tensor] = {}
        for name in items:
            batch |= make[name](reader.read(row[f"{name}_row"], (name,))[name], row)
        return {**batch, "label": row["label"]}

    drawn = {name: f"{name}_row" for name in items}
    return Batches(index, items, drawn, batch_size, start_step, plan, load, tolerant)


def row_batches(
    directory: str | os.PathLike,
    split: str,
    *,
    items: Mapping[str, kinds.Item],
    batch_size: int,
    seed: int,
    audio_seconds: tuple[float, float],
    num_lengths: int = 0,
    start_step: int = 0,
    tolerant: bool = False,
) -> Batches:
    """Prepares endless batches of distinct rows, each of which holds all modalities of `items`.

    An epoch visits every row once but the remainder that does not fill a batch, in an order of its
    own. Rows without a modality, or with fewer frames than asked, are left out and counted in the
    log.

    Args:
      directory: a prepared data set.
      split: whose rows to draw from.
      items: modality to what is asked of it. Of images with F frames one of each of F equal parts
        of the stored ones is taken. All frames and image modalities of a row share one seed: what
        stands at the same place of two lists of augmentations does the same to both.
      batch_size: rows of the global batch, over all replicas.
      seed: of the run. The global batch of step s depends on (seed, s) alone.
      audio_seconds: as in `identity_batches`.
      num_lengths: as in `identity_batches`.
      start_step: first step to produce; resuming is starting there.
      tolerant: as in `identity_batches`.

    Returns:
      As `identity_batches`: `audio` [b, T] float32; an image modality [b, S, S, 3] uint8, or
      [b, F, S, S, 3] with F > 1; arrays [b, D] float32, or [b, T, D] zero padded to the longest
      with their steps [b] int32; `label` [b] int32, rank in the split's labels.

    Raises:
      UserError: as `identity_batches`, an augmentation of another modality, or fewer rows left than
        a batch takes.
    """
    index = shards.Index.read(directory, cut=tolerant).select(split)
    reading.check_kinds(index, items)
    counts = {name: item.spec.num_frames for name, item in items.items()}
    make = {name: it.kind.training(name, it, audio_seconds) for name, it in items.items()}
    bounds = _stretch(items, audio_seconds)
    rows = reading.trainable(index, split, counts, batch_size)
    rank = {label: number for number, label in enumerate(index.labels(split))}
    label = np.array([rank[index.label[row]] for row in rows], np.int32)

    columns = _lifted([rows, label, index.num_samples])

    def plan(step: tf.Tensor, attempt: int = 0) -> dict[str, tf.Tensor]:
        return sampling.draw_rows(
            seed,
            step,
            *columns(),
            batch_size=batch_size,
            length_samples=bounds,
            num_frames=max(counts.values()),
            num_lengths=num_lengths,
            attempt=attempt,
        )

    def load(reader: reading.Reader, row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch = {"label": row["label"]}
        for name, content in reader.read(row["row"], tuple(items)).items():
            batch |= make[name](content, row)
        return batch

    drawn = dict.fromkeys(items, "row")
    return Batches(index, items, drawn, batch_size, start_step, plan, load, tolerant)


def _lifted(columns: Sequence[np.ndarray]) -> Callable[[], Sequence]:
    """Returns what gives columns as a function that is being traced should hold them.

    An array is a constant of each function that draws: the columns of a million identities took 1.5
    seconds and 0.7 GB to trace. A tensor from outside is carried from step to step, which costs a
    small net more than drawing from a small array does.
    """

    @functools.cache
    def lifted() -> Sequence:
        if sum(column.nbytes for column in columns) < _LARGE_BYTES:
            return columns
        with tf.init_scope(), tf.device("/cpu:0"):
            return [tf.constant(column) for column in columns]

    return lifted


def _stretch(
    items: Mapping[str, kinds.Item], audio_seconds: tuple[float, float]
) -> tuple[int, int]:
    """Returns the shortest and longest stretch in samples; of batches without clips, anything."""
    clips = any(item.spec.clip for item in items.values())
    return reading.stretch(audio_seconds) if clips else (1, 1)


def _one_frame(item: kinds.Item) -> kinds.Item:
    if item.spec.num_frames == 1:
        return item
    return item._replace(spec=dataclasses.replace(item.spec, shape=item.spec.shape[-3:]))
