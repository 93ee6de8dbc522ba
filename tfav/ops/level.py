"""The level of a clip, and what of the clip lies so far below it that it is silence.

The level is the mean of |x| weighted by |x|, `sum x^2 / sum |x|`. Graph ops that TFLite has built
in; `num_samples` is as in `signal`.
"""

import tensorflow as tf

from tfav.ops import signal

LEAST_SQUARES = 1e-20  # of a whole clip, below which it is not made as loud as others
SILENCE_STEP_SAMPLES = 16  # silence is found and cut in steps of 1 ms
SILENCE_STEPS = 10  # the shortest silence inside a clip


def without_silence(
    waveform: tf.Tensor, silence_db: float, num_samples: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Cuts silence out of each clip: what is left moves together, and zeros follow it.

    Silence is what stays `silence_db` below the clip's own level for 10 ms, or up to its beginning
    or end; it is found and cut in steps of 1 ms. The level changes little with a click and not with
    the amount of silence, and it follows the gain of the recording. A clip of zeros is left as it
    is.

    Args:
      waveform: Batch of clips [B, T].
      silence_db: Decibels below the level, above 0.
      num_samples: Length of each clip, [B] int32; None means all of T. What stands after it is
        never read.

    Returns:
      waveform: [B, T].
      num_samples: Number of samples that are left of each clip, [B] int32, at least 1.
    """
    length = tf.shape(waveform)[1]
    if num_samples is None:
        num_samples = tf.fill(tf.shape(waveform)[:1], length)
    sound = signal.zero_pad(waveform, 0, num_samples)
    size = tf.abs(sound)
    # Blocks of which each is kept or cut; the last one may end beyond the clip.
    count = (length + SILENCE_STEP_SAMPLES - 1) // SILENCE_STEP_SAMPLES
    blocks = tf.pad(sound, [[0, 0], [0, count * SILENCE_STEP_SAMPLES - length]])
    blocks = tf.reshape(blocks, tf.stack([-1, count, SILENCE_STEP_SAMPLES]))
    envelope = _closed(tf.reduce_max(tf.abs(blocks), axis=2), SILENCE_STEPS)
    # Both sides times sum |x|, by which a clip of zeros could not be divided.
    least = tf.reduce_sum(tf.square(size), axis=1, keepdims=True) * 10.0 ** (-silence_db / 20.0)
    kept = envelope * tf.reduce_sum(size, axis=1, keepdims=True) >= least
    starts = tf.range(count) * SILENCE_STEP_SAMPLES
    inside = tf.clip_by_value(tf.expand_dims(num_samples, 1) - starts, 0, SILENCE_STEP_SAMPLES)
    kept = tf.cast(tf.logical_and(kept, inside > 0), tf.int32)
    # Ranks are all different, so that the order hangs on no sorting algorithm.
    order = tf.math.top_k(kept * count - tf.range(count), count).indices
    kept_samples = tf.reduce_sum(kept * inside, axis=1)
    joined = tf.gather(blocks, order, axis=1, batch_dims=1)
    joined = tf.reshape(joined, tf.stack([-1, count * SILENCE_STEP_SAMPLES]))
    joined = signal.head(joined, length)
    joined.set_shape(waveform.shape)
    return signal.zero_pad(joined, 0, kept_samples), kept_samples


def levelled(waveform: tf.Tensor, num_samples: tf.Tensor | None = None) -> tf.Tensor:
    """Divides each clip [B, T] by its level; a clip of zeros stays one.

    What stands after `num_samples` is 0 then.
    """
    waveform = signal.zero_pad(waveform, 0, num_samples)
    total = tf.reduce_sum(tf.abs(waveform), axis=1, keepdims=True)
    squares = tf.reduce_sum(tf.square(waveform), axis=1, keepdims=True)
    return waveform * (total / tf.maximum(squares, LEAST_SQUARES))


def _closed(x: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the least, over all windows of `size` that hold a place, of their greatest value.

    Dips of [B, N] that are shorter than `size` are filled; beyond its ends lies silence, 0.
    """
    x = tf.pad(x, [[0, 0], [size - 1, size - 1]])
    x = tf.expand_dims(tf.expand_dims(x, 2), 3)  # not by indexing, which TFLite has no op for
    greatest = tf.nn.max_pool2d(x, (size, 1), 1, "VALID")
    return -tf.squeeze(tf.nn.max_pool2d(-greatest, (size, 1), 1, "VALID"), [2, 3])
