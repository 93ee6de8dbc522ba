"""From shards to batches: training pairs of distinct identities, and files in order for evaluation.

Everything runs in tf.data's C++ ops. The order and all randomness are functions of (seed, step), so
a data set is resumed by starting it at a step, and N replicas see the rows that one would see.
"""

import math
import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfav import registry, typing
from tfav.data import augment as augmentation
from tfav.data import sampling, shards

_RECORD_HEADER_BYTES = 12  # of a TFRecord: payload length and its checksum, before the payload
_RECORD_BYTES = 16  # header and the payload's checksum


class _Reader:
    """Random access to the records of an index.

    `TFRecordDataset` at a byte offset seeks and checks the record's checksum;
    `FixedLengthRecordDataset` with a header of that size would read the shard up to there.
    """

    def __init__(self, index: shards.Index):
        names, number = np.unique(index.shard, return_inverse=True)
        self._paths = tf.constant([os.path.join(index.directory, name) for name in names])
        self._number = tf.constant(number, tf.int64)
        self._offset = tf.constant(index.offset - _RECORD_HEADER_BYTES, tf.int64)
        self._bytes = tf.constant(index.length + _RECORD_BYTES, tf.int64)

    def read(self, row: tf.Tensor, modality: str) -> tf.Tensor:
        """Returns the PCM16 or JPEG bytes [] of the record in row `row` [] of the index."""
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=self._paths[self._number[row]][tf.newaxis],
            compression_type="",
            buffer_size=self._bytes[row],  # one read, no more than the record
            byte_offsets=self._offset[row][tf.newaxis],
        )
        spec = tf.TensorSpec([], tf.string)
        payload = tf.data.experimental.from_variant(records, spec).take(1).get_single_element()
        feature = {modality: tf.io.FixedLenFeature([], tf.string)}
        return tf.io.parse_single_example(payload, feature)[modality]


def decode_audio(pcm: tf.Tensor) -> tf.Tensor:
    """Returns the waveform [T] float32 in [-1, 1) of PCM16 little-endian bytes []."""
    return tf.cast(tf.io.decode_raw(pcm, tf.int16, little_endian=True), tf.float32) / 32768.0


def decode_image(jpeg: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns the photograph [image_size, image_size, 3] uint8 RGB of JPEG bytes []."""
    return augmentation.fit(tf.io.decode_jpeg(jpeg, channels=3), image_size)


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
) -> Callable[[tf.distribute.InputContext | None], tf.data.Dataset]:
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
      replica, b = batch_size / replicas: `audio` [b, T] float32, `image` [b, S, S, 3] uint8,
      `label` [b] int32, rank in the split's labels. With several replicas a pipeline, a step's
      replicas follow each other.

    Raises:
      UserError: not a prepared data set, a shard that is missing or cut short, an unknown
        augmentation, fewer identities than rows in a batch, or a batch the replicas cannot share.
    """
    index = shards.Index.read(directory).select(split)
    image_chain, audio_chain = augmentation.resolve(augment)
    low, high = (round(seconds * typing.SAMPLE_RATE_HZ) for seconds in audio_seconds)
    if not 1 <= low <= high:
        raise registry.UserError(
            f"audio_seconds is {tuple(audio_seconds)}: give the shortest and the longest stretch "
            "in seconds, the shortest first and above zero."
        )
    pool = sampling.make_pool(index, index.labels(split))
    if batch_size < 1 or len(pool) < batch_size:
        raise registry.UserError(
            f"split {split!r} of {index.directory} has {len(pool)} identities with both modalities "
            f"and a batch takes {batch_size} distinct ones: set --config.train.batch_size to "
            f"{len(pool)} or fewer, or add identities."
        )

    def make(input_context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        rows, replica_size = _share(batch_size, input_context)
        reader = _Reader(index)
        num_samples = tf.constant(index.num_samples, tf.int64)

        def plan(step: tf.Tensor) -> dict[str, tf.Tensor]:
            drawn = sampling.draw_plan(
                seed, step, pool, num_samples, batch_size=batch_size, length_samples=(low, high)
            )
            return {name: value[rows] for name, value in drawn.items()}

        def load(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            waveform = decode_audio(reader.read(row["audio_row"], "audio"))
            waveform = _cut(waveform, row["start"], row["length"])
            waveform = tf.ensure_shape(waveform, [low if low == high else None])
            image = decode_image(reader.read(row["image_row"], "image"), image_size)
            return {
                "audio": augmentation.apply(audio_chain, waveform, row["audio_seed"]),
                "image": augmentation.apply(image_chain, image, row["image_seed"]),
                "label": row["label"],
            }

        dataset = tf.data.Dataset.range(start_step, tf.int64.max).map(plan).unbatch()
        dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        dataset = dataset.batch(replica_size, drop_remainder=True)
        return finish(dataset)

    return make


def evaluation_batches(
    directory: str | os.PathLike,
    ids_or_split: str | Sequence[str],
    modality: str,
    *,
    batch_size: int,
    max_seconds: float,
    image_size: int,
) -> tf.data.Dataset:
    """Reads sounds or images once, in order, without randomness.

    Args:
      directory: a prepared data set.
      ids_or_split: a split's name (its rows in the index's order), or ids (in the order given).
      modality: `audio` or `image`.
      batch_size: rows of a batch; the last one may be smaller.
      max_seconds: only that much from the start of each clip.
      image_size: side of the images in pixels.

    Returns:
      Batches {`id` [b] string, `audio` [b, T] float32 zero padded to the longest, `num_samples` [b]
      int32}, or {`id`, `image` [b, S, S, 3] uint8}.

    Raises:
      UserError: not a prepared data set, a shard that is missing or cut short, or a split or id
        that does not hold the modality.
    """
    index = _find(shards.Index.read(directory), ids_or_split, modality)
    reader = _Reader(index)
    longest = max(1, math.ceil(max_seconds * typing.SAMPLE_RATE_HZ))

    def load(row: tf.Tensor, name: tf.Tensor) -> dict[str, tf.Tensor]:
        content = reader.read(row, modality)
        if modality == "image":
            return {"id": name, "image": decode_image(content, image_size)}
        waveform = decode_audio(tf.strings.substr(content, 0, 2 * longest))
        return {"id": name, "audio": waveform, "num_samples": tf.size(waveform)}

    rows = tf.range(len(index), dtype=tf.int64)
    dataset = tf.data.Dataset.from_tensor_slices((rows, tf.constant(index.id.tolist())))
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return finish(dataset.padded_batch(batch_size))


def _find(index: shards.Index, ids_or_split: str | Sequence[str], modality: str) -> shards.Index:
    """Returns the rows that are asked for, each of which holds `modality`."""
    if modality not in ("audio", "image"):
        raise ValueError(f"modality is {modality!r}: it is audio or image")
    if isinstance(ids_or_split, str):
        index = index.select(ids_or_split)
    held = np.flatnonzero((index.num_samples if modality == "audio" else index.height) > 0)
    if isinstance(ids_or_split, str):
        if not len(held):
            raise registry.UserError(
                f"split {ids_or_split!r} of {index.directory} holds no {modality}: "
                "choose another split, or prepare the data set with that modality."
            )
        return index.take(held)
    position = {index.id[row]: row for row in held}
    missing = [name for name in ids_or_split if name not in position]
    if missing or not len(ids_or_split):
        raise registry.UserError(
            f"{index.directory} holds no {modality} for {len(missing)} of {len(ids_or_split)} ids "
            f"(first: {missing[0] if missing else 'no id was given'}): mend the list, or prepare "
            "the data set with those files."
        )
    return index.take(np.array([position[name] for name in ids_or_split]))


def _share(batch_size: int, context: tf.distribute.InputContext | None) -> tuple[slice, int]:
    """Returns which rows of the global batch this pipeline makes, and the rows of a replica."""
    context = context or tf.distribute.InputContext()
    replicas = context.num_replicas_in_sync
    if batch_size % replicas:
        raise registry.UserError(
            f"a batch of {batch_size} does not divide among {replicas} replicas: set "
            f"--config.train.batch_size to a multiple of {replicas}."
        )
    rows = batch_size // context.num_input_pipelines
    first = context.input_pipeline_id * rows
    return slice(first, first + rows), batch_size // replicas


def _cut(waveform: tf.Tensor, start: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns `length` samples from `start` of a waveform that repeats itself."""
    repeats = -(-(start + length) // tf.size(waveform, tf.int64))
    return tf.tile(waveform, repeats[tf.newaxis])[start : start + length]


def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns `dataset` in a fixed order, prefetched, and never shared out again by TensorFlow."""
    options = tf.data.Options()
    options.deterministic = True
    # Batches are shared out by rows (`_share`); auto-sharding would drop elements on top of that.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
