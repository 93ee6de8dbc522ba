"""What is heard of a batch of clips, in a graph: the twin of `hearing.Hearing`."""

import tensorflow as tf

from tfav import hearing as hearing_lib


def heard(
    waveform: tf.Tensor, num_samples: tf.Tensor, hearing: hearing_lib.Hearing
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what of each clip is heard, [B, T'], and its samples [B].

    Args:
      waveform: [B, T]; what stands after `num_samples` is never read.
      num_samples: [B] int32 in [1, T].
      hearing: cuts clips to its most samples, and repeats those that are shorter than its least.
    """
    waveform = waveform[:, : hearing.max_samples]
    num_samples = tf.minimum(num_samples, hearing.max_samples)
    least = hearing.min_samples
    if not least:
        return waveform, num_samples
    length = tf.maximum(tf.shape(waveform)[1], least)
    position = tf.math.floormod(tf.range(length), num_samples[:, tf.newaxis])
    return tf.gather(waveform, position, axis=1, batch_dims=1), tf.maximum(num_samples, least)


def windows(
    waveform: tf.Tensor, num_samples: tf.Tensor, window_samples: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Cuts clips into consecutive windows, the last one of each shorter.

    Args:
      waveform: [B, T].
      num_samples: [B] int32 in [1, T].
      window_samples: Samples of a window.

    Returns:
      The N windows of all clips in order, [N, window_samples] zero padded, how many samples of each
      are sound [N] int32, and which clip it is of, [N] int32 ascending.
    """
    length = tf.shape(waveform)[1]
    count = -(-length // window_samples)
    padded = tf.pad(waveform, [[0, 0], [0, count * window_samples - length]])
    parts = tf.reshape(padded, tf.stack([-1, count, window_samples]))
    starts = tf.range(count) * window_samples
    sound = tf.clip_by_value(num_samples[:, tf.newaxis] - starts, 0, window_samples)
    places = tf.cast(tf.where(sound > 0), tf.int32)
    return tf.gather_nd(parts, places), tf.gather_nd(sound, places), places[:, 0]
