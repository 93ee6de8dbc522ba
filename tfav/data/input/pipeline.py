"""From shards to batches for evaluation: every row once, in order. Training's are in `endless`.

Everything runs in tf.data's C++ ops.
"""

import functools
import os
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfav import compat, registry, tensors
from tfav.data import shards
from tfav.data.input import crops, sampling
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
    max_seconds: float,
    image_size: int,
    num_frames: int = 1,
    min_seconds: float = 0.0,
) -> tf.data.Dataset:
    """Reads clips or images once, in order, without randomness.

    Args:
      directory: a prepared data set.
      ids_or_split: a split's name (its rows in the index's order), or ids (in the order given).
      modality: `audio`, `image`, or a further image modality of the data set.
      batch_size: rows of a batch; the last one may be smaller.
      max_seconds: only that much from the start of each clip.
      image_size: side of the images in pixels.
      num_frames: F, of an image modality: the middle one of each of F equal parts of the stored
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

    def load(row: tf.Tensor) -> dict[str, tf.Tensor]:
        content, name = reader.read(row, (modality,))[modality], ids[row]
        if modality != "audio":
            jpegs = tf.gather(content, sampling.middle_frames(tf.size(content), num_frames))
            one = functools.partial(decode_image, image_size=image_size)
            return {"id": name, modality: reading.each(one, jpegs, num_frames, image_size)}
        waveform = reading.decode_audio(tf.strings.substr(content, 0, 2 * longest))
        size = tf.maximum(tf.size(waveform, tf.int64), shortest)
        waveform = reading.cut(waveform, tf.constant(0, tf.int64), size)
        return {"id": name, "audio": waveform, "num_samples": tf.size(waveform)}

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
