"""From waveform to power spectrum: constants from NumPy, graph ops that TFLite has built in.

Constants are NumPy arrays made outside any trace, so the same numbers stand in training, in a
SavedModel and on a phone. `num_samples` [B] int32 in [1, T] is the length of each clip of a batch
[B, T]; None means that every row is as long as the batch.
"""

import math

import numpy as np
import tensorflow as tf

WINDOWS = ("hamming", "hann", "rectangular", "tukey")
SLOPES = ("hz", "mel", "rising")
TUKEY_SHARE = 0.25  # of the window that its two flanks take, as in scipy.signal.spectrogram
_ROW = 512  # of positions, see `countdown`


def window(name: str, length_samples: int) -> np.ndarray:
    """Returns a periodic window [length_samples] in float64.

    `scipy.signal.get_window` agrees to 1e-15 and not to the last bit, and its rounding follows its
    version. Where a frame's mean is taken away (`dft_matrix`), 1 in 70 of the float32 numbers of a
    published artefact would change with it. So these four stay here.

    Args:
      name: Name of the window: `hamming`, `hann`, `rectangular` or `tukey` (flat, an eighth of it
        rising as a cosine on either side).
      length_samples: Number of samples of one period.

    Raises:
      ValueError: The name is another one.
    """
    phase = 2.0 * np.pi * np.arange(length_samples) / length_samples
    if name == "hamming":
        return 0.54 - 0.46 * np.cos(phase)
    if name == "hann":
        return 0.5 - 0.5 * np.cos(phase)
    if name == "rectangular":
        return np.ones(length_samples)
    if name == "tukey":
        to_edge = np.minimum(np.arange(length_samples), length_samples - np.arange(length_samples))
        flank = np.minimum(to_edge / (TUKEY_SHARE * length_samples / 2.0), 1.0)
        return 0.5 - 0.5 * np.cos(np.pi * flank)
    raise ValueError(f"unknown window {name!r}: choose one of {', '.join(WINDOWS)}")


def mel_matrix(
    num_mels: int,
    fft_length: int,
    sample_rate_hz: float,
    lower_hz: float,
    upper_hz: float,
    slopes: str = "hz",
) -> np.ndarray:
    """Returns HTK-mel triangles [fft_length // 2 + 1, num_mels] in float64, peaks at 1.

    Corners are equally spaced on `2595 log10(1 + f / 700)`; areas are not normalised. The released
    voice encoder's slopes are linear in Hz (torchaudio's default), those of VGGish and of
    `tf.signal.linear_to_mel_weight_matrix` are linear in mel, and SpeechBrain's (`rising`) in Hz,
    both as steep as the left one. 0 Hz, at most a corner, never counts.

    Args:
      num_mels: Number of bands.
      fft_length: Number of points of the Fourier transform.
      sample_rate_hz: Sample rate of the waveform.
      lower_hz: Lower corner of the first band.
      upper_hz: Upper corner of the last band.
      slopes: Scale on which the triangles' sides are straight, `hz` or `mel`, or `rising`.

    Raises:
      ValueError: The corners do not lie in 0 <= lower < upper <= half the sample rate, or the scale
        is another one.
    """
    if not 0.0 <= lower_hz < upper_hz <= sample_rate_hz / 2:
        raise ValueError(
            f"mel bands from {lower_hz} to {upper_hz} Hz do not fit {sample_rate_hz} Hz"
        )
    if slopes not in SLOPES:
        raise ValueError(f"unknown slopes {slopes!r}: choose one of {', '.join(SLOPES)}")
    lowest, highest = _mel(np.array([lower_hz, upper_hz]))
    corner = np.linspace(lowest, highest, num_mels + 2)
    place = np.linspace(0.0, sample_rate_hz / 2, fft_length // 2 + 1)[:, None]
    if slopes != "mel":
        corner = 700.0 * (10.0 ** (corner / 2595.0) - 1.0)
    else:
        place = _mel(place)
    rise = (place - corner[:-2]) / (corner[1:-1] - corner[:-2])
    fall = (corner[2:] - place) / (corner[2:] - corner[1:-1]) if slopes != "rising" else 2.0 - rise
    return np.maximum(0.0, np.minimum(rise, fall))


def _mel(hz: np.ndarray) -> np.ndarray:
    return 2595.0 * np.log10(1.0 + hz / 700.0)


def dft_matrix(window_values: np.ndarray, fft_length: int, detrend: bool = False) -> np.ndarray:
    """Returns the windowed Fourier transform, [frame, 2 * bins]: real parts, then imaginary ones.

    Args:
      window_values: Window [frame], at most `fft_length` long.
      fft_length: Number of points of the transform; the frame is padded with zeros at its end.
      detrend: Whether the frame's mean is taken away before the window.
    """
    time = np.arange(len(window_values))[:, None]
    angle = 2.0 * np.pi * time * np.arange(fft_length // 2 + 1) / fft_length
    dft = window_values[:, None] * np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)
    # (x - mean x) . D = x . (D - mean D)
    return dft - dft.mean(axis=0) if detrend else dft


def reflect(position: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns indices in [0, length) of the signal mirrored at its first and last sample, for ever.

    Args:
      position: Positions to look up, int32 of any value.
      length: Length of the signal, int32, at least 1, broadcastable to `position`.
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
      waveform: Batch of clips [B, T].
      padding_samples: Number of samples to add on both sides.
      num_samples: Length of each clip, see above.

    Returns:
      [B, T + 2 * padding_samples].
    """
    length = tf.shape(waveform)[1]
    if num_samples is None:  # the middle is the waveform itself: no index table as long as the clip
        before = tf.gather(waveform, reflect(tf.range(-padding_samples, 0), length), axis=1)
        after = tf.gather(waveform, reflect(length + tf.range(padding_samples), length), axis=1)
        return tf.concat([before, waveform, after], axis=1)
    # Counted from the last sample, from which the signal mirrors as it does from the first.
    last = num_samples - 1
    place = countdown(last + padding_samples, length + 2 * padding_samples)
    index = tf.expand_dims(last, 1) - reflect(place, tf.expand_dims(num_samples, 1))
    return tf.gather(waveform, index, axis=1, batch_dims=1)


def countdown(first: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns `first - t` for t = 0 ... length - 1: [B, length] int32 of `first` [B] int32.

    In rows of `_ROW`, because a converter folds a range as long as the clip into a table of its
    own, of 4 bytes per sample in every file.
    """
    rows = tf.range((length + _ROW - 1) // _ROW) * _ROW
    begin = tf.expand_dims(first, 1) - rows
    found = tf.expand_dims(begin, 2) - tf.range(_ROW)
    return head(tf.reshape(found, [tf.shape(first)[0], tf.size(rows) * _ROW]), length)


def head(samples: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns the first `length` <= T of each row [B, T]; LiteRT copies `[:, :length]` slowly."""
    return tf.slice(samples, [0, 0], tf.stack([-1, length]))


def zero_pad(
    waveform: tf.Tensor, min_samples: int, num_samples: tf.Tensor | None = None
) -> tf.Tensor:
    """Continues each clip with zeros, to `min_samples` at least.

    What stands after `num_samples` is never read.

    Args:
      waveform: Batch of clips [B, T].
      min_samples: Length of the shortest result.
      num_samples: Length of each clip, see above.

    Returns:
      [B, max(T, min_samples)].
    """
    length = tf.shape(waveform)[1]
    if num_samples is not None:  # not a product: what pads a clip may be NaN
        valid = countdown(num_samples, length) > 0
        waveform = tf.where(valid, waveform, tf.zeros_like(waveform))
    return tf.pad(waveform, [[0, 0], [0, tf.maximum(min_samples - length, 0)]])


def pre_emphasize(
    waveform: tf.Tensor, coefficient: float, num_samples: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns `x_t - coefficient * x_{t-1}` of [B, T], each clip mirrored at its first sample.

    Args:
      waveform: Batch of clips [B, T].
      coefficient: Share of the sample before that is taken away; 0 changes nothing.
      num_samples: Length of each clip, see above.
    """
    length = tf.shape(waveform)[1:] if num_samples is None else num_samples
    # Before the first sample stands the second, or the first of a clip that has no second.
    index = tf.broadcast_to(tf.minimum(1, length - 1), tf.shape(waveform)[:1])
    before = tf.gather(waveform, tf.expand_dims(index, 1), axis=1, batch_dims=1)
    shifted = head(waveform, tf.shape(waveform)[1] - 1)
    return waveform - coefficient * tf.concat([before, shifted], axis=1)


def power_stft(
    padded: tf.Tensor,
    window_values: np.ndarray,
    frame_step_samples: int,
    fft_length: int,
    detrend: bool = False,
) -> tf.Tensor:
    """Returns the power spectrum [B, (L - frame) // hop + 1, fft_length // 2 + 1], by the FFT.

    Args:
      padded: Batch of padded clips [B, L] float32.
      window_values: Window [frame].
      frame_step_samples: Hop from one frame to the next.
      fft_length: Number of points of the transform.
      detrend: Whether each frame's mean is taken away before the window.
    """
    frames = tf.signal.frame(padded, len(window_values), frame_step_samples)
    if detrend:
        frames = frames - tf.reduce_mean(frames, axis=2, keepdims=True)
    spectrum = tf.signal.rfft(frames * tf.constant(window_values, frames.dtype), [fft_length])
    return tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))


def power_conv(padded: tf.Tensor, dft: np.ndarray, frame_step_samples: int) -> tf.Tensor:
    """Returns the power spectrum [B, (L - frame) // hop + 1, bins], by one convolution.

    Every TFLite delegate takes that. The signal is cut into cells of gcd(frame, hop) samples, which
    become the channels: a short kernel over cells costs less than a long one over samples.

    Args:
      padded: Batch of padded clips [B, L] float32.
      dft: Matrix [frame, 2 * bins] of `dft_matrix`.
      frame_step_samples: Hop from one frame to the next.
    """
    frame_length = dft.shape[0]
    cell = math.gcd(frame_length, frame_step_samples)
    num_cells = tf.shape(padded)[1] // cell
    cells = tf.reshape(head(padded, num_cells * cell), tf.stack([-1, num_cells, cell]))
    kernel = tf.constant(dft.reshape(frame_length // cell, cell, -1), padded.dtype)
    parts = tf.nn.conv1d(cells, kernel, stride=frame_step_samples // cell, padding="VALID")
    real, imaginary = tf.split(parts, 2, axis=2)
    return tf.square(real) + tf.square(imaginary)
