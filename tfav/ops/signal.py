"""From waveform to power spectrum: constants from NumPy, graph ops that TFLite has built in.

Constants are NumPy arrays made outside any trace, so the same numbers stand in training, in a
SavedModel and on a phone.
"""

import math

import numpy as np
import tensorflow as tf

WINDOWS = ("hamming", "hann", "rectangular")


def window(name: str, length_samples: int) -> np.ndarray:
    """Returns a periodic window [length_samples] in float64.

    Args:
      name: `hamming`, `hann` or `rectangular`.
      length_samples: number of samples of one period.

    Raises:
      ValueError: another name.
    """
    phase = 2.0 * np.pi * np.arange(length_samples) / length_samples
    if name == "hamming":
        return 0.54 - 0.46 * np.cos(phase)
    if name == "hann":
        return 0.5 - 0.5 * np.cos(phase)
    if name == "rectangular":
        return np.ones(length_samples)
    raise ValueError(f"unknown window {name!r}: choose one of {', '.join(WINDOWS)}")


def mel_matrix(
    num_mels: int, fft_length: int, sample_rate_hz: float, lower_hz: float, upper_hz: float
) -> np.ndarray:
    """Returns HTK-mel triangles [fft_length // 2 + 1, num_mels] in float64, peaks at 1.

    Corners are equally spaced on `2595 log10(1 + f / 700)`; the slopes are linear in Hz and the
    areas are not normalised, as in the released voice encoder (torchaudio's default, not
    `tf.signal.linear_to_mel_weight_matrix`, whose slopes are linear in mel).

    Args:
      num_mels: number of bands.
      fft_length: points of the Fourier transform.
      sample_rate_hz: sample rate of the waveform.
      lower_hz: lower corner of the first band.
      upper_hz: upper corner of the last band.

    Raises:
      ValueError: the corners do not lie in 0 <= lower < upper <= half the sample rate.
    """
    if not 0.0 <= lower_hz < upper_hz <= sample_rate_hz / 2:
        raise ValueError(
            f"mel bands from {lower_hz} to {upper_hz} Hz do not fit {sample_rate_hz} Hz"
        )
    lowest, highest = 2595.0 * np.log10(1.0 + np.array([lower_hz, upper_hz]) / 700.0)
    corner_hz = 700.0 * (10.0 ** (np.linspace(lowest, highest, num_mels + 2) / 2595.0) - 1.0)
    bin_hz = np.linspace(0.0, sample_rate_hz / 2, fft_length // 2 + 1)[:, None]
    rise = (bin_hz - corner_hz[:-2]) / (corner_hz[1:-1] - corner_hz[:-2])
    fall = (corner_hz[2:] - bin_hz) / (corner_hz[2:] - corner_hz[1:-1])
    return np.maximum(0.0, np.minimum(rise, fall))


def dft_matrix(window_values: np.ndarray, fft_length: int) -> np.ndarray:
    """Returns the windowed Fourier transform, [frame, 2 * bins]: real parts, then imaginary ones.

    Args:
      window_values: [frame] window, its length at most `fft_length`.
      fft_length: points of the transform; the frame is padded with zeros at its end.
    """
    time = np.arange(len(window_values))[:, None]
    angle = 2.0 * np.pi * time * np.arange(fft_length // 2 + 1) / fft_length
    return window_values[:, None] * np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)


def reflect(position: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns indices in [0, length) of the signal mirrored at its first and last sample, for ever.

    Args:
      position: int32, any value.
      length: int32 >= 1, broadcastable to `position`.
    """
    period = tf.maximum(2 * (length - 1), 1)
    index = tf.math.floormod(position, period)
    return tf.minimum(index, period - index)


def reflect_pad(
    waveform: tf.Tensor, padding_samples: int, num_samples: tf.Tensor | None = None
) -> tf.Tensor:
    """Mirrors each clip at its own first and last sample.

    What stands after `num_samples` is never read: the rest of such a row is further reflection.

    Args:
      waveform: [B, T].
      padding_samples: samples to add on both sides.
      num_samples: [B] int32 in [1, T]; None: every row is sound to its end.

    Returns:
      [B, T + 2 * padding_samples].
    """
    length = tf.shape(waveform)[1]
    if num_samples is None:  # the middle is the waveform itself: no index table as long as the clip
        before = tf.gather(waveform, reflect(tf.range(-padding_samples, 0), length), axis=1)
        after = tf.gather(waveform, reflect(length + tf.range(padding_samples), length), axis=1)
        return tf.concat([before, waveform, after], axis=1)
    position = tf.range(length + 2 * padding_samples) - padding_samples
    index = reflect(tf.expand_dims(position, 0), tf.expand_dims(num_samples, 1))
    return tf.gather(waveform, index, axis=1, batch_dims=1)


def power_stft(
    padded: tf.Tensor, window_values: np.ndarray, frame_step_samples: int, fft_length: int
) -> tf.Tensor:
    """Power spectrum by the fast Fourier transform.

    Args:
      padded: [B, L] float32.
      window_values: [frame] window.
      frame_step_samples: hop.
      fft_length: points of the transform.

    Returns:
      [B, (L - frame) // hop + 1, fft_length // 2 + 1].
    """
    spectrum = tf.signal.stft(
        padded,
        frame_length=len(window_values),
        frame_step=frame_step_samples,
        fft_length=fft_length,
        window_fn=lambda length, dtype: tf.constant(window_values, dtype),
    )
    return tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))


def power_conv(padded: tf.Tensor, dft: np.ndarray, frame_step_samples: int) -> tf.Tensor:
    """Power spectrum by one convolution, which every TFLite delegate takes.

    The signal is cut into cells of gcd(frame, hop) samples, which become the channels: a short
    kernel over cells costs less than a long one over samples.

    Args:
      padded: [B, L] float32.
      dft: [frame, 2 * bins] of `dft_matrix`.
      frame_step_samples: hop.

    Returns:
      [B, (L - frame) // hop + 1, bins].
    """
    frame_length = dft.shape[0]
    cell = math.gcd(frame_length, frame_step_samples)
    num_cells = tf.shape(padded)[1] // cell
    cells = tf.reshape(padded[:, : num_cells * cell], tf.stack([-1, num_cells, cell]))
    kernel = tf.constant(dft.reshape(frame_length // cell, cell, -1), padded.dtype)
    parts = tf.nn.conv1d(cells, kernel, stride=frame_step_samples // cell, padding="VALID")
    real, imaginary = tf.split(parts, 2, axis=2)
    return tf.square(real) + tf.square(imaginary)
