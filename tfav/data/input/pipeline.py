"""From shards to batches for evaluation: every row once, in order. Training's are in `endless`.

Everything runs in tf.data's C++ ops.
"""

import os
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfav import compat, registry, tensors
from tfav.data import kinds, shards
from tfav.data.input import crops
from tfav.data.input import reader as reading


def decode_image(jpeg: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns the photograph [image_size, image_size, 3] uint8 RGB of JPEG bytes []."""
    return crops.fit(tf.io.decode_jpeg(jpeg, channels=3), image_size)


def evaluation_batches(
    directory: str | os.PathLike,
    ids_or_split: str | Sequence[str],
    modality: str,
    *,
    batch_size: int,
    item: kinds.Item,
    max_seconds: float,
    min_seconds: float = 0.0,
) -> tf.data.Dataset:
    """Reads the items of a modality once, in order, without randomness.

    Args:
      directory: a prepared data set.
      ids_or_split: a split's name (its rows in the index's order), or ids (in the order given).
      modality: one of the data set's.
      batch_size: rows of a batch; the last one may be smaller.
      item: what one item is. Of images with F frames: the middle one of each of F equal parts of
        the stored frames (fewer than F repeat).
      max_seconds: only that much from the start of each clip.
      min_seconds: clips that are shorter repeat until they last that long.

    Returns:
      Batches {`id` [b] string, `MODALITY` [b, ...]}: clips [b, T] float32 zero padded to the
      longest, images [b, S, S, 3] uint8, [b, F, S, S, 3] with F > 1, or what else `item` says; and
      where it is padded the count that `item.spec.length` names, [b] int32.

    Raises:
      UserError: not a prepared data set, a shard that is missing or cut short, a split or id that
        does not hold the modality, or `min_seconds` above `max_seconds`.
    """
    index = reading.find(shards.Index.read(directory, cut=True), ids_or_split, modality)
    index.check_shards()
    reading.check_kinds(index, {modality: item})
    reader = reading.Reader(index)
    longest = max(1, round(max_seconds * tensors.SAMPLE_RATE_HZ))
    shortest = round(min_seconds * tensors.SAMPLE_RATE_HZ)
    if shortest > longest:
        raise registry.UserError(
            f"clips should last at least {min_seconds:g} s and at most {max_seconds:g} s: lower "
            "the first or raise the second."
        )

    make = item.kind.evaluation(modality, item, (shortest, longest))

    def load(row: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"id": ids[row], **make(reader.read(row, (modality,))[modality])}

    ids = tf.constant(index.id.tolist())
    dataset = loaded(tf.data.Dataset.range(len(index)), load)
    return finish(dataset.padded_batch(batch_size))


def loaded(dataset: tf.data.Dataset, load: Callable) -> tf.data.Dataset:
    """Returns `load` of each row, in order and several at a time.

    Under op determinism one at a time: TensorFlow makes it so, as `load` reads files, and would
    report an error of its own while it does.
    """
    if compat.deterministic():
        return dataset.map(load)
    return dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns `dataset` in a fixed order, prefetched, and never shared out again by TensorFlow."""
    options = tf.data.Options()
    options.deterministic = True
    # Batches are shared out by rows (`endless`); auto-sharding would drop elements on top of that.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
