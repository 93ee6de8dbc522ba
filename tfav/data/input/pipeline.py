"""From shards to batches: distinct identities or rows in training, rows in order for evaluation.

Everything runs in tf.data's C++ ops. The order and all randomness are functions of (seed, step), so
a data set is resumed by starting it at a step, and N replicas see the rows that one would see.
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfav import registry, tensors
from tfav.data import shards
from tfav.data.input import augment as augmentation
from tfav.data.input import crops, sampling
from tfav.data.input import reader as reading

# For `strategy.distribute_datasets_from_function`.
Batches = Callable[[tf.distribute.InputContext | None], tf.data.Dataset]


def decode_image(jpeg: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns the photograph [image_size, image_size, 3] uint8 RGB of JPEG bytes []."""
    return crops.fit(tf.io.decode_jpeg(jpeg, channels=3), image_size)


def identity_batches(
    directory: str | os.PathLike,
    split: str,
    *,
    batch_size: int,
    seed: int,
    audio_seconds: tuple[float, float],
    image_size: int,
    augment: Sequence[str] = (),
    start_step: int = 0,
) -> Batches:
    """Prepares endless batches of distinct identities, one random utterance and face each.

    No TensorFlow op runs before the returned function is called, so this may precede the strategy.

    Args:
      directory: a prepared data set.
      split: whose rows to draw from.
      batch_size: rows of the global batch, over all replicas.
      seed: of the run. The global batch of step s depends on (seed, s) alone.
      audio_seconds: shortest and longest stretch of sound; each step draws one length for its
        batch. Each row begins at a place of its own; clips that are too short repeat.
      image_size: side of the images in pixels.
      augment: names from `augment.IMAGE_AUGMENTATIONS` and `augment.AUDIO_AUGMENTATIONS`, in order.
      start_step: first step to produce; resuming is starting there.

    Returns:
      A function for `strategy.distribute_datasets_from_function`. Its elements are Batches of one
      replica, b = batch_size / replicas: `audio` [b, T] float32, `image` [b, S, S, 3] uint8 (any
      frame of its row), `label` [b] int32, rank in the split's labels. With several replicas a
      pipeline, a step's replicas follow each other.

    Raises:
      UserError: not a prepared data set, a shard that is missing or cut short, an unknown
        augmentation, fewer identities than rows in a batch, or a batch the replicas cannot share.
    """
    index = shards.Index.read(directory).select(split)
    image_chain, audio_chain = augmentation.resolve(augment)
    bounds = reading.stretch(audio_seconds)
    pool = sampling.make_pool(index, index.labels(split))
    if batch_size < 1 or len(pool) < batch_size:
        raise registry.UserError(
            f"split {split!r} of {index.directory} has {len(pool)} identities with both modalities "
            f"and a batch takes {batch_size} distinct ones: set --config.train.batch_size to "
            f"{len(pool)} or fewer, or add identities."
        )

    def plan(step: tf.Tensor) -> dict[str, tf.Tensor]:
        return sampling.draw_identities(
            seed, step, pool, index.num_samples, batch_size=batch_size, length_samples=bounds
        )

    def load(reader: reading.Reader, row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        sound = reader.read(row["audio_row"], ("audio",))["audio"]
        jpegs = reader.read(row["image_row"], ("image",))["image"]
        return {
            "audio": reading.sound(sound, row, bounds, audio_chain),
            "image": reading.frames(jpegs, row, 1, image_size, image_chain),
            "label": row["label"],
        }

    return _endless(index, batch_size, start_step, plan, load)


def row_batches(
    directory: str | os.PathLike,
    split: str,
    *,
    modalities: Sequence[str],
    batch_size: int,
    seed: int,
    audio_seconds: tuple[float, float],
    image_size: Mapping[str, int],
    num_frames: Mapping[str, int],
    augment: Mapping[str, Sequence[str]],
    start_step: int = 0,
) -> Batches:
    """Prepares endless batches of distinct rows, each of which holds all `modalities`.

    An epoch visits every row once but the remainder that does not fill a batch, in an order of its
    own. Rows without a modality, or with fewer frames than asked, are left out and counted in the
    log.

    Args:
      directory: a prepared data set.
      split: whose rows to draw from.
      modalities: `audio`, `image`, or further picture modalities of the data set.
      batch_size: rows of the global batch, over all replicas.
      seed: of the run. The global batch of step s depends on (seed, s) alone.
      audio_seconds: as in `identity_batches`.
      image_size: picture modality to the side of its pictures in pixels.
      num_frames: picture modality to the frames F to take: one of each of F equal parts of the
        stored ones. One that is not named gives one frame.
      augment: modality to names from `augment.AUDIO_AUGMENTATIONS` (`audio`) or
        `augment.IMAGE_AUGMENTATIONS`, in order. All frames and picture modalities of a row share
        one seed: what stands at the same place of two lists does the same to both.
      start_step: first step to produce; resuming is starting there.

    Returns:
      As `identity_batches`: `audio` [b, T] float32; a picture modality [b, S, S, 3] uint8, or
      [b, F, S, S, 3] with F > 1; `label` [b] int32, rank in the split's labels.

    Raises:
      UserError: as `identity_batches`, an augmentation of another modality, or fewer rows left than
        a batch takes.
    """
    index = shards.Index.read(directory).select(split)
    counts = {name: num_frames.get(name, 1) if name != "audio" else 1 for name in modalities}
    chains = {name: augmentation.resolve_one(augment.get(name, ()), name) for name in modalities}
    bounds = reading.stretch(audio_seconds) if "audio" in modalities else (1, 1)
    rows = reading.trainable(index, split, counts, batch_size)
    rank = {label: number for number, label in enumerate(index.labels(split))}
    label = np.array([rank[index.label[row]] for row in rows], np.int32)

    def plan(step: tf.Tensor) -> dict[str, tf.Tensor]:
        return sampling.draw_rows(
            seed,
            step,
            rows,
            label,
            index.num_samples,
            batch_size=batch_size,
            length_samples=bounds,
            num_frames=max(counts.values()),
        )

    def load(reader: reading.Reader, row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch = {"label": row["label"]}
        for name, content in reader.read(row["row"], modalities).items():
            if name == "audio":
                batch[name] = reading.sound(content, row, bounds, chains[name])
            else:
                batch[name] = reading.frames(
                    content, row, counts[name], image_size[name], chains[name]
                )
        return batch

    return _endless(index, batch_size, start_step, plan, load)


def evaluation_batches(
    directory: str | os.PathLike,
    ids_or_split: str | Sequence[str],
    modality: str,
    *,
    batch_size: int,
    max_seconds: float,
    image_size: int,
    num_frames: int = 1,
    min_seconds: float = 0.0,
) -> tf.data.Dataset:
    """Reads sounds or pictures once, in order, without randomness.

    Args:
      directory: a prepared data set.
      ids_or_split: a split's name (its rows in the index's order), or ids (in the order given).
      modality: `audio`, `image`, or a further picture modality of the data set.
      batch_size: rows of a batch; the last one may be smaller.
      max_seconds: only that much from the start of each clip.
      image_size: side of the pictures in pixels.
      num_frames: F, of a picture modality: the middle one of each of F equal parts of the stored
        frames (fewer than F repeat).
      min_seconds: clips that are shorter repeat until they last that long.

    Returns:
      Batches {`id` [b] string, `audio` [b, T] float32 zero padded to the longest, `num_samples` [b]
      int32}, or {`id`, `MODALITY` [b, S, S, 3] uint8, [b, F, S, S, 3] with F > 1}.

    Raises:
      UserError: not a prepared data set, a shard that is missing or cut short, a split or id that
        does not hold the modality, or `min_seconds` above `max_seconds`.
    """
    index = reading.find(shards.Index.read(directory), ids_or_split, modality)
    reader = reading.Reader(index)
    longest = max(1, round(max_seconds * tensors.SAMPLE_RATE_HZ))
    shortest = round(min_seconds * tensors.SAMPLE_RATE_HZ)
    if shortest > longest:
        raise registry.UserError(
            f"clips should last at least {min_seconds:g} s and at most {max_seconds:g} s: lower "
            "the first or raise the second."
        )

    def load(row: tf.Tensor, name: tf.Tensor) -> dict[str, tf.Tensor]:
        content = reader.read(row, (modality,))[modality]
        if modality != "audio":
            jpegs = tf.gather(content, sampling.middle_frames(tf.size(content), num_frames))
            one = functools.partial(decode_image, image_size=image_size)
            return {"id": name, modality: reading.each(one, jpegs, num_frames, image_size)}
        waveform = reading.decode_audio(tf.strings.substr(content, 0, 2 * longest))
        size = tf.maximum(tf.size(waveform, tf.int64), shortest)
        waveform = reading.cut(waveform, tf.constant(0, tf.int64), size)
        return {"id": name, "audio": waveform, "num_samples": tf.size(waveform)}

    rows = tf.range(len(index), dtype=tf.int64)
    dataset = tf.data.Dataset.from_tensor_slices((rows, tf.constant(index.id.tolist())))
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return finish(dataset.padded_batch(batch_size))


def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns `dataset` in a fixed order, prefetched, and never shared out again by TensorFlow."""
    options = tf.data.Options()
    options.deterministic = True
    # Batches are shared out by rows (`_endless`); auto-sharding would drop elements on top of that.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def _endless(
    index: shards.Index, batch_size: int, start_step: int, plan: Callable, load: Callable
) -> Batches:
    """Returns what makes a pipeline's batches.

    Args:
      index: rows of the split.
      batch_size: of the global batch.
      start_step: first step to produce.
      plan: step [] int64 to what is drawn for it, tensors of batch_size rows.
      load: a reader and one of these rows to one row of a Batch.
    """

    def make(input_context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        context = input_context or tf.distribute.InputContext()
        replicas = context.num_replicas_in_sync
        if batch_size % replicas:
            raise registry.UserError(
                f"a batch of {batch_size} does not divide among {replicas} replicas: set "
                f"--config.train.batch_size to a multiple of {replicas}."
            )
        size = batch_size // context.num_input_pipelines
        first = context.input_pipeline_id * size
        reader = reading.Reader(index)
        dataset = tf.data.Dataset.range(start_step, tf.int64.max)
        dataset = dataset.map(
            lambda step: {name: drawn[first : first + size] for name, drawn in plan(step).items()}
        )
        dataset = dataset.unbatch().map(
            functools.partial(load, reader), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return finish(dataset.batch(batch_size // replicas, drop_remainder=True))

    return make
