"""The augmentations of waveforms.

Each takes `waveform` [T] float32 in [-1, 1] and `seed` [2], and returns the like; the same input
and seed give the same output.
"""

import tensorflow as tf


def gain(waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Scales by -6 to +6 dB, by less where the peak would leave [-1, 1]."""
    gain_db = tf.random.stateless_uniform([], seed, -6.0, 6.0)
    peak = tf.reduce_max(tf.abs(waveform))
    factor = tf.minimum(10.0 ** (gain_db / 20), tf.math.divide_no_nan(1.0, peak))
    return waveform * factor


def noise(waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Adds white noise, 20 to 40 dB below the clip's power; silence stays silent."""
    draw, level = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    snr_db = tf.random.stateless_uniform([], level, 20.0, 40.0)
    rms = tf.sqrt(tf.reduce_mean(tf.square(waveform)))
    white = tf.random.stateless_normal(tf.shape(waveform), draw)
    return tf.clip_by_value(waveform + white * rms * 10.0 ** (-snr_db / 20), -1.0, 1.0)
