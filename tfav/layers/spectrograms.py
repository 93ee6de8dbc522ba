"""The audio front-ends and the papers' settings of them."""

import keras
import numpy as np
import tensorflow as tf

from tfav import tensors
from tfav.layers import frontend
from tfav.ops import signal

INSTANCE_NORM_EPSILON = 1e-5
DEVIATION_EPSILON = 1e-9


@keras.saving.register_keras_serializable("tfav")
class LogMel(frontend.Frontend):
    """Log-mel spectrogram, `log(mel + log_offset)`, and instance norm.

    The defaults are those of the released voice encoder of Wen et al., CVPR 2021, except
    `amplitude`: they fed int16 values as floats, which is `amplitude=32768`. The settings of other
    papers are in `frontend_table.PRESETS`.

    Args:
      num_mels: Number of HTK-mel bands.
      frame_length_samples: Length of the window, at most `fft_length`; even if centred.
      frame_step_samples: Hop from one frame to the next.
      fft_length: Number of points of the Fourier transform.
      lower_hz: Lower corner of the first band.
      upper_hz: Upper corner of the last band.
      slopes: Scale on which the bands' slopes are linear, `hz` or `mel`.
      window: Name of the periodic window, one of `signal.WINDOWS`.
      power: Exponent of the magnitude: 2 for power, 1 for magnitude.
      log_offset: Number added before the logarithm.
      amplitude: Factor of the waveform, which comes first.
      preemphasis: Coefficient c of `x_t - c x_{t-1}`, which comes second; 0 leaves it out.
      centered: Whether frames are centred, see `frontend.Frontend`.
      form: Form of the transform: `stft` (small) or `conv` (a delegate can run every op); both
        give the same numbers.
      instance_norm: Whether each band's mean over time is subtracted and its deviation divided by.
      silence_db: Decibels below the clip's level at which silence begins, see `frontend.Frontend`.
      level_norm: Whether each clip is divided by its level, see `frontend.Frontend`.
      sample_rate_hz: Sample rate of the waveform.
      name: Name of the layer.

    Raises:
      ValueError: As in `frontend.Frontend`; or the bands leave the spectrum, or the slopes are
        unknown.
    """

    def __init__(
        self,
        num_mels: int = 40,
        frame_length_samples: int = 400,
        frame_step_samples: int = 160,
        fft_length: int = 512,
        lower_hz: float = 0.0,
        upper_hz: float = 8000.0,
        slopes: str = "hz",
        window: str = "hamming",
        power: float = 2.0,
        log_offset: float = 1e-6,
        amplitude: float = 1.0,
        preemphasis: float = 0.0,
        centered: bool = True,
        form: str = "stft",
        instance_norm: bool = True,
        silence_db: float = 0.0,
        level_norm: bool = False,
        sample_rate_hz: int = tensors.SAMPLE_RATE_HZ,
        name: str = "log_mel",
    ):
        super().__init__(
            frame_length_samples,
            frame_step_samples,
            fft_length,
            window=window,
            centered=centered,
            detrend=False,
            form=form,
            silence_db=silence_db,
            level_norm=level_norm,
            name=name,
        )
        self.remember(
            num_mels=num_mels,
            frame_length_samples=frame_length_samples,
            frame_step_samples=frame_step_samples,
            fft_length=fft_length,
            lower_hz=lower_hz,
            upper_hz=upper_hz,
            slopes=slopes,
            window=window,
            power=power,
            log_offset=log_offset,
            amplitude=amplitude,
            preemphasis=preemphasis,
            centered=centered,
            form=form,
            instance_norm=instance_norm,
            silence_db=silence_db,
            level_norm=level_norm,
            sample_rate_hz=sample_rate_hz,
        )
        self.num_bands = num_mels
        self.power = power
        self.log_offset = log_offset
        self.amplitude = amplitude
        self.preemphasis = preemphasis
        self.instance_norm = instance_norm
        self.mel = signal.mel_matrix(
            num_mels, fft_length, sample_rate_hz, lower_hz, upper_hz, slopes
        )

    def prepare(self, waveform: tf.Tensor, num_samples: tf.Tensor | None) -> tf.Tensor:
        """Returns the waveform [B, T] amplified and pre-emphasized."""
        waveform = self.amplitude * waveform
        if self.preemphasis:
            waveform = signal.pre_emphasize(waveform, self.preemphasis, num_samples)
        return waveform

    def image(self, spectrum: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
        """Returns log-mel frames [B, frames, num_mels]."""
        if self.power != 2.0:
            spectrum = tf.pow(spectrum, self.power / 2.0)
        mel = tf.tensordot(spectrum, tf.constant(self.mel, spectrum.dtype), axes=1)
        log_mel = tf.math.log(mel + self.log_offset)
        return _normalize_over_time(log_mel, valid) if self.instance_norm else log_mel


@keras.saving.register_keras_serializable("tfav")
class LogSpectrogram(frontend.Frontend):
    """Log power spectral density, standardised by the clip: CREMA-D in MMCosine.

    `ln(scipy.signal.spectrogram(x, rate, nperseg, noverlap) + log_offset)` (Tukey window, each
    frame's mean taken away, one-sided density in 1/Hz), less the mean and divided by the deviation
    over all of the clip's frames and bins. Frames are not centred. 3 s are 299 frames of 257 bins.

    Args:
      frame_length_samples: Length of the window, nperseg, and of the Fourier transform; even.
      frame_step_samples: Hop from one frame to the next, nperseg - noverlap.
      window: Name of the periodic window, one of `signal.WINDOWS`.
      log_offset: Number added before the logarithm.
      form: Form of the transform: `stft` (small) or `conv` (a delegate can run every op); both
        give the same numbers.
      silence_db: Decibels below the clip's level at which silence begins, see `frontend.Frontend`.
      level_norm: Whether each clip is divided by its level, see `frontend.Frontend`.
      sample_rate_hz: Sample rate of the waveform.
      name: Name of the layer.

    Raises:
      ValueError: The window or the form is unknown, the frame is odd, or `silence_db` is negative.
    """

    def __init__(
        self,
        frame_length_samples: int = 512,
        frame_step_samples: int = 159,
        window: str = "tukey",
        log_offset: float = 1e-7,
        form: str = "stft",
        silence_db: float = 0.0,
        level_norm: bool = False,
        sample_rate_hz: int = tensors.SAMPLE_RATE_HZ,
        name: str = "log_spectrogram",
    ):
        if frame_length_samples % 2:
            raise ValueError(f"frame_length_samples {frame_length_samples} must be even")
        super().__init__(
            frame_length_samples,
            frame_step_samples,
            fft_length=frame_length_samples,
            window=window,
            centered=False,
            detrend=True,
            form=form,
            silence_db=silence_db,
            level_norm=level_norm,
            name=name,
        )
        self.remember(
            frame_length_samples=frame_length_samples,
            frame_step_samples=frame_step_samples,
            window=window,
            log_offset=log_offset,
            form=form,
            silence_db=silence_db,
            level_norm=level_norm,
            sample_rate_hz=sample_rate_hz,
        )
        self.num_bands = frame_length_samples // 2 + 1
        self.log_offset = log_offset
        # One side stands for both, but for the bins at 0 Hz and half the rate, which have no twin.
        sides = np.full(self.num_bands, 2.0)
        sides[[0, -1]] = 1.0
        self.density = sides / (sample_rate_hz * np.sum(self.window_values**2))

    def image(self, spectrum: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
        """Returns standardised log densities [B, frames, frame_length_samples // 2 + 1]."""
        # ln(x + c) less ln(c), which the mean takes away: exact where a clip is nearly silent.
        x = tf.math.log1p(spectrum * tf.constant(self.density / self.log_offset, spectrum.dtype))
        weight = tf.ones_like(x[:, :, :1]) if valid is None else valid
        weight = weight / tf.reduce_sum(weight, axis=1, keepdims=True)
        x = x - tf.reduce_mean(tf.reduce_sum(x * weight, axis=1, keepdims=True), 2, keepdims=True)
        variance = tf.reduce_sum(tf.square(x) * weight, axis=1, keepdims=True)
        deviation = tf.sqrt(tf.reduce_mean(variance, axis=2, keepdims=True))
        return x / (deviation + DEVIATION_EPSILON)


def _normalize_over_time(x: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
    """Returns [B, F, M] normalised by mean and biased variance of the frames with `valid` 1."""
    if valid is None:
        centred = x - tf.reduce_mean(x, axis=1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axis=1, keepdims=True)
    else:
        count = tf.reduce_sum(valid, axis=1, keepdims=True)
        centred = x - tf.reduce_sum(x * valid, axis=1, keepdims=True) / count
        variance = tf.reduce_sum(tf.square(centred) * valid, axis=1, keepdims=True) / count
    return centred * tf.math.rsqrt(variance + INSTANCE_NORM_EPSILON)
