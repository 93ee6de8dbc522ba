"""Which identities, rows, frames and stretches of sound make a batch: functions of (seed, step).

Nothing is remembered between steps, so a run that resumes at step s, and any number of input
pipelines, see the batches an uninterrupted run on one device would have seen.
"""

import functools

import numpy as np
import tensorflow as tf

from tfav.data.input import identity_pool

# One stream of random numbers for each decision, so that none depends on another.
_AUDIO, _IMAGE, _LENGTH, _START, _AUDIO_AUGMENT, _IMAGE_AUGMENT, _FRAME, _AUGMENT = range(8)


def draw_items(
    seed: int, step: tf.Tensor, *, batch_size: int, num_items: int, attempt: int = 0
) -> tf.Tensor:
    """Returns the distinct items (identities or rows) of step `step`: [batch_size] int64.

    An epoch is `num_items // batch_size` steps and visits every item in [0, num_items) once, except
    the remainder that does not fill a batch; each epoch has its own order. An item that cannot be
    read is replaced by the one at the same place of the next batch in that order, which is no other
    of its own batch where an epoch has two.

    Args:
      seed: of the run.
      step: [] int64, counted from 0 over the whole run.
      batch_size: of the global batch, at most `num_items`.
      num_items: how many there are.
      attempt: 0: what is planned; k: what replaces it where k of them cannot be read.
    """
    steps = num_items // batch_size
    position = (step % steps) * batch_size + tf.range(batch_size, dtype=tf.int64)
    if attempt:  # one place further after each round, or it would meet the same few again
        ahead = attempt * batch_size
        position = (position + ahead + ahead // num_items) % num_items
    # It takes up to 0.6 microseconds per item, so that two cores take a half each.
    draw = functools.partial(
        tf.random.experimental.index_shuffle,
        seed=tf.stack([tf.cast(seed, tf.int64), step // steps]),
        max_index=num_items - 1,
    )
    halves = position[: batch_size // 2], position[batch_size // 2 :]
    return tf.concat([draw(its) for its in halves if its.shape[0]], axis=0)


def draw_identities(
    seed: int,
    step: tf.Tensor,
    pool: identity_pool.Pool,
    num_samples: tf.Tensor,
    *,
    batch_size: int,
    length_samples: tuple[int, int],
    num_lengths: int = 0,
    attempt: int = 0,
) -> dict[str, tf.Tensor]:
    """Decides everything that is random in step `step` of batches of distinct identities.

    Args:
      seed: of the run.
      step: [] int64, counted from 0 over the whole run.
      pool: the identities.
      num_samples: [N] int64, of every row of the index.
      batch_size: of the global batch.
      length_samples: shortest and longest stretch of sound, both included.
      num_lengths: see `draw_length`.
      attempt: see `draw_items`.

    Returns:
      Tensors of batch_size rows: `label` int32; `audio_row`, `image_row` int64, rows of the index;
      and those of `_draw_details`.
    """
    identity = draw_items(seed, step, batch_size=batch_size, num_items=len(pool), attempt=attempt)
    audio_row = _draw_row(
        _key(seed, step, _AUDIO), identity, pool.audio_rows, pool.audio_first, pool.audio_count
    )
    image_row = _draw_row(
        _key(seed, step, _IMAGE), identity, pool.image_rows, pool.image_first, pool.image_count
    )
    samples = tf.gather(num_samples, audio_row)
    details = _draw_details(seed, step, samples, 1, length_samples, num_lengths)
    drawn = {"audio_row": audio_row, "image_row": image_row, **details}
    return {"label": tf.gather(pool.label, identity), **drawn}


def draw_rows(
    seed: int,
    step: tf.Tensor,
    rows: np.ndarray,
    label: np.ndarray,
    num_samples: tf.Tensor,
    *,
    batch_size: int,
    length_samples: tuple[int, int],
    num_frames: int,
    num_lengths: int = 0,
    attempt: int = 0,
) -> dict[str, tf.Tensor]:
    """Decides everything that is random in step `step` of batches of distinct rows.

    Args:
      seed: of the run.
      step: [] int64, counted from 0 over the whole run.
      rows: [R] int64, the rows of the index to draw from.
      label: [R] int32, their classes.
      num_samples: [N] int64, of every row of the index.
      batch_size: of the global batch.
      length_samples: shortest and longest stretch of sound, both included.
      num_frames: the most frames that any modality takes of a row.
      num_lengths: see `draw_length`.
      attempt: see `draw_items`.

    Returns:
      Tensors of batch_size rows: `label` int32; `row` int64, of the index; and those of
      `_draw_details`.
    """
    item = draw_items(seed, step, batch_size=batch_size, num_items=len(rows), attempt=attempt)
    row = tf.gather(rows, item)
    samples = tf.gather(num_samples, row)
    details = _draw_details(seed, step, samples, num_frames, length_samples, num_lengths)
    return {"label": tf.gather(label, item), "row": row, **details}


def _draw_details(
    seed: int,
    step: tf.Tensor,
    num_samples: tf.Tensor,
    num_frames: int,
    bounds: tuple[int, int],
    num_lengths: int,
) -> dict[str, tf.Tensor]:
    """Decides what is done with the items of a batch; `num_samples` [B] int64 is that of each.

    Returns:
      `length`, `start` [B] int64, the stretch of sound in samples, `length` being the same in all
      rows; `frame_share` [B, num_frames] float64 in [0, 1), for `draw_frames`; `audio_seed`,
      `image_seed` and, of other kinds, `seed` [B, 2] int64, for the augmentations.
    """
    batch_size = num_samples.shape[0]
    length = draw_length(_key(seed, step, _LENGTH), bounds, num_lengths)
    split = tf.random.experimental.stateless_split
    return {
        "length": tf.repeat(length, batch_size),
        "start": draw_starts(_key(seed, step, _START), num_samples, length),
        "frame_share": tf.random.stateless_uniform(
            [batch_size, num_frames], _key(seed, step, _FRAME), dtype=tf.float64
        ),
        "audio_seed": split(_key(seed, step, _AUDIO_AUGMENT), batch_size),
        "image_seed": split(_key(seed, step, _IMAGE_AUGMENT), batch_size),
        "seed": split(_key(seed, step, _AUGMENT), batch_size),
    }


def _key(seed: int, step: tf.Tensor, stream: int) -> tf.Tensor:
    pair = tf.stack([tf.cast(seed, tf.int64), step])
    return tf.random.experimental.stateless_fold_in(pair, stream)


def draw_length(key: tf.Tensor, bounds: tuple[int, int], num_lengths: int) -> tf.Tensor:
    """Returns how long the stretches of a batch are: [] int64, in samples.

    Args:
      key: [2] int64 seed.
      bounds: shortest and longest, both included.
      num_lengths: one of this many, spread evenly over the bounds, so that few shapes come up:
        whatever is chosen or compiled for a shape is so once. 0: any length.
    """
    low, high = bounds
    if not num_lengths or low == high:
        return tf.random.stateless_uniform([], key, low, high + 1, tf.int64)
    parts = num_lengths - 1
    part = tf.random.stateless_uniform([], key, 0, num_lengths, tf.int64)
    return low + (part * (high - low) + parts // 2) // parts


def draw_starts(key: tf.Tensor, num_samples: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns where each stretch begins: [B] int64, uniform over the places it can.

    A clip shorter than the stretch repeats itself without end: any of its samples can be first.

    Args:
      key: [2] int64 seed.
      num_samples: [B] int64, of each clip.
      length: [] int64, of the stretch.
    """
    places = tf.where(num_samples >= length, num_samples - length + 1, num_samples)
    return _draw_below(key, places)


def draw_frames(share: tf.Tensor, num_stored: tf.Tensor) -> tf.Tensor:
    """Returns one frame of each of F equal parts of the stored ones: [F] int32, in order.

    Args:
      share: [F] float64 in [0, 1), which of its part. Modalities with as many frames that are given
        the same share take the same ones.
      num_stored: [] int32, at least F.
    """
    num_frames = tf.size(share)
    part = tf.range(num_frames + 1) * num_stored // num_frames
    return part[:-1] + _share_below(share, part[1:] - part[:-1])


def middle_frames(num_stored: tf.Tensor, num_frames: int) -> tf.Tensor:
    """Returns the middle frame of each of `num_frames` equal parts of the stored ones: [F] int32.

    Fewer stored frames than that repeat.
    """
    return (2 * tf.range(num_frames) + 1) * num_stored // (2 * num_frames)


def _draw_row(
    key: tf.Tensor, identity: tf.Tensor, rows: np.ndarray, first: np.ndarray, count: np.ndarray
) -> tf.Tensor:
    chosen = _draw_below(key, tf.gather(count, identity))
    return tf.gather(rows, tf.gather(first, identity) + chosen)


def _draw_below(key: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    # Integer draws take one bound for all rows; float64 has room for any count of samples.
    return _share_below(tf.random.stateless_uniform(tf.shape(bound), key, dtype=tf.float64), bound)


def _share_below(share: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    return tf.minimum(tf.cast(share * tf.cast(bound, tf.float64), bound.dtype), bound - 1)
