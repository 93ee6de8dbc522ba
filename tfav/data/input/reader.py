"""What is read for a batch: which rows, any record at once, its sounds and pictures.

What runs for each row are tf.data's C++ ops.
"""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from tfav import registry, tensors
from tfav.data import kinds, shards
from tfav.data.input import augment, sampling

_RECORD_HEADER_BYTES = 12  # of a TFRecord: payload length and its checksum, before the payload
_RECORD_BYTES = 16  # header and the payload's checksum
_KEPT_BYTES = 128_000_000  # of records that are read again and again, what stays in memory


class Reader:
    """Random access to the records of an index.

    `TFRecordDataset` at a byte offset seeks and checks the record's checksum;
    `FixedLengthRecordDataset` with a header of that size would read the shard up to there. Opening
    a record takes a third of all that is done for a pair of the demo: few of them are kept.

    Args:
      index: of the records.
      again: Whether each is read many times. Where they are few, all are read now and kept.
      tolerant: whether a record that cannot be read is an error of its own row's `read` alone.
    """

    def __init__(self, index: shards.Index, again: bool = False, tolerant: bool = False):
        names, number = np.unique(index.shard, return_inverse=True)
        self._paths = tf.constant([os.path.join(index.directory, name) for name in names])
        self._number = tf.constant(number, tf.int64)
        self._offset = tf.constant(index.offset - _RECORD_HEADER_BYTES, tf.int64)
        self._bytes = tf.constant(index.length + _RECORD_BYTES, tf.int64)
        self._tolerant = tolerant
        self._kept: tf.Tensor | None = None
        if again and index.length.sum() <= _KEPT_BYTES:
            payloads = tf.data.Dataset.range(len(index))
            payloads = payloads.map(self._payload_or_nothing if tolerant else self._payload)
            self._kept = payloads.batch(len(index)).get_single_element()

    def read(self, row: tf.Tensor, modalities: Sequence[str]) -> dict[str, tf.Tensor]:
        """Returns what the record in row `row` [] of the index holds.

        Args:
          row: [] int64.
          modalities: which ones to take out.

        Returns:
          What each stores, [n] string: of `audio` PCM16, of images the JPEGs of n >= 0 frames, of
          others what their kind writes.
        """
        payload = self.payload(row)
        several = tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
        return tf.io.parse_single_example(payload, dict.fromkeys(modalities, several))

    def payload(self, row: tf.Tensor) -> tf.Tensor:
        """Returns the bytes [] of the record in row `row` []; an error where it cannot be read."""
        if self._kept is None:
            return self._payload(row)
        kept = self._kept[row]
        if not self._tolerant:
            return kept
        with tf.control_dependencies([tf.debugging.Assert(kept != "", ["no record in row", row])]):
            return tf.identity(kept)

    def _payload_or_nothing(self, row: tf.Tensor) -> tf.Tensor:
        found = tf.data.Dataset.from_tensors(row).map(self._payload).ignore_errors()
        return found.concatenate(tf.data.Dataset.from_tensors("")).take(1).get_single_element()

    def _payload(self, row: tf.Tensor) -> tf.Tensor:
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=self._paths[self._number[row]][tf.newaxis],
            compression_type="",
            buffer_size=self._bytes[row],  # one read, no more than the record
            byte_offsets=self._offset[row][tf.newaxis],
        )
        spec = tf.TensorSpec([], tf.string)
        return tf.data.experimental.from_variant(records, spec).take(1).get_single_element()


def trainable(
    index: shards.Index, split: str, num_frames: dict[str, int], batch_size: int
) -> np.ndarray:
    """Returns the rows [R] int64 that hold all one asks for; the log counts the others.

    Args:
      index: rows of `split`.
      split: its name, for the messages.
      num_frames: modality to the least frames of it a row must hold (1 of what is no image).
      batch_size: rows of a global batch.

    Raises:
      UserError: fewer rows are left than a batch takes; names the first that was left out.
    """
    lacks = np.full(len(index), None, object)
    for name, least in num_frames.items():
        lacks[~index.held(name)] = f"no {name}"
        if name in index.frames:
            count = index.frames[name]
            for row in np.flatnonzero((count > 0) & (count < least)):
                lacks[row] = f"{count[row]} of {least} frames of {name}"
    kept = np.flatnonzero(lacks == None)  # noqa: E711 (element by element)
    left_out = np.flatnonzero(lacks != None)  # noqa: E711
    first = f"{index.id[left_out[0]]} has {lacks[left_out[0]]}" if len(left_out) else ""
    if not 1 <= batch_size <= len(kept):
        wanted = " and ".join(n if k == 1 else f"{k} frames of {n}" for n, k in num_frames.items())
        lower = f"set --config.train.batch_size to {len(kept)} or fewer, " if len(kept) else ""
        raise registry.UserError(
            f"split {split!r} of {index.directory} has {len(kept)} rows with {wanted} and a batch "
            f"takes {batch_size}{f' (first row left out: {first})' if first else ''}: {lower}"
            "ask for fewer frames or modalities, or prepare the data set with them."
        )
    if first:
        logging.warning(
            "%s: %d of %d rows of %s are left out (first: %s)",
            index.directory,
            len(left_out),
            len(index),
            split,
            first,
        )
    return kept


def check_kinds(index: shards.Index, items: Mapping[str, kinds.Item]) -> None:
    """Refuses to read records as what they are not.

    Raises:
      UserError: the data set holds a modality as another kind; names both.
    """
    for name, item in items.items():
        if index.held(name).any() and index.kind(name) != item.kind.name:
            raise registry.UserError(
                f"{index.directory} holds {name} of the kind {index.kind(name)} and the config "
                f"asks for {item.kind.name}: set --config.further.{name}.kind to the former, or "
                f"prepare the data with --modalities={name}={item.kind.name}."
            )


def find(index: shards.Index, ids_or_split: str | Sequence[str], modality: str) -> shards.Index:
    """Returns the rows that are asked for, each of which holds `modality`.

    Raises:
      UserError: a split without it, or ids that do not hold it.
    """
    if isinstance(ids_or_split, str):
        index = index.select(ids_or_split)
    held = np.flatnonzero(index.held(modality))
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
            f"(first: {missing[0] if missing else 'no id was given'}): correct the list, or "
            "prepare the data set with those files."
        )
    return index.take(np.array([position[name] for name in ids_or_split]))


def decode_audio(pcm: tf.Tensor) -> tf.Tensor:
    """Returns the waveform [T] float32 in [-1, 1) of PCM16 little-endian bytes []."""
    return _waveform(_samples(pcm))


def cut(pcm: tf.Tensor, start: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns a stretch of the waveform, as `decode_audio` does, of a clip that repeats itself.

    What is not in it is not converted either.

    Args:
      pcm: [] string, PCM16 little-endian bytes.
      start: [] int64, below the clip's number of samples.
      length: [] int64, in samples.
    """
    samples = _samples(pcm)
    repeats = -(-(start + length) // tf.size(samples, tf.int64))
    return _waveform(tf.tile(samples, repeats[tf.newaxis])[start : start + length])


def _samples(pcm: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_raw(pcm, tf.int16, little_endian=True)


def _waveform(samples: tf.Tensor) -> tf.Tensor:
    return tf.cast(samples, tf.float32) / 32768.0


def stretch(audio_seconds: tuple[float, float]) -> tuple[int, int]:
    """Returns the shortest and the longest stretch of sound in samples."""
    low, high = (round(seconds * tensors.SAMPLE_RATE_HZ) for seconds in audio_seconds)
    if not 1 <= low <= high:
        raise registry.UserError(
            f"audio_seconds is {tuple(audio_seconds)}: give the shortest and the longest stretch "
            "in seconds, the shortest first and above zero."
        )
    return low, high


def sound(
    pcm: tf.Tensor, row: Mapping[str, tf.Tensor], bounds: tuple[int, int], chain: Sequence[Callable]
) -> tf.Tensor:
    """Returns the stretch of sound [T] float32 that `row` plans."""
    low, high = bounds
    waveform = cut(pcm, row["start"], row["length"])
    waveform = tf.ensure_shape(waveform, [low if low == high else None])
    return augment.apply(chain, waveform, row["audio_seed"])


def frames(
    jpegs: tf.Tensor,
    row: Mapping[str, tf.Tensor],
    num_frames: int,
    size: int,
    chain: Sequence[Callable],
) -> tf.Tensor:
    """Returns the picture(s) that `row` plans of the frames `jpegs` [n], as `each` does."""

    def one(jpeg: tf.Tensor) -> tf.Tensor:
        photograph = tf.io.decode_jpeg(jpeg, channels=3)
        return augment.picture(chain, photograph, size, row["image_seed"])

    drawn = sampling.draw_frames(row["frame_share"][:num_frames], tf.size(jpegs))
    return each(one, tf.gather(jpegs, drawn), num_frames, size)


def each(one: Callable, jpegs: tf.Tensor, num_frames: int, size: int) -> tf.Tensor:
    """Returns `one` of each JPEG: [size, size, 3] uint8, or [num_frames, size, size, 3]."""
    if num_frames == 1:
        return one(jpegs[0])
    pictures = tf.map_fn(one, jpegs, fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8))
    return tf.ensure_shape(pictures, [num_frames, size, size, 3])
