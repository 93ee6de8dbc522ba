"""The audio front-end, a layer inside the network, so that it is exported with it."""

import keras
import tensorflow as tf

from tfav import typing
from tfav.ops import signal

FORMS = ("stft", "conv")
INSTANCE_NORM_EPSILON = 1e-5


class LogMel(keras.layers.Layer):
    """Waveform to log-mel spectrogram: centred frames, `log(mel + log_offset)`, instance norm.

    Frame k is centred on sample `k * frame_step_samples`; clips are mirrored at their own first
    and last sample (very short ones repeatedly), so what stands after `num_samples` never matters.
    Defaults are those of the released voice encoder of Wen et al., CVPR 2021, except `amplitude`:
    they fed int16 values as floats, which is `amplitude=32768`.

    Args:
      num_mels: number of HTK-mel bands.
      frame_length_samples: window, even, at most `fft_length`.
      frame_step_samples: hop.
      fft_length: points of the Fourier transform.
      lower_hz: lower corner of the first band.
      upper_hz: upper corner of the last band.
      window: `hamming`, `hann` or `rectangular`, periodic.
      power: 2 for power, 1 for magnitude.
      log_offset: added before the logarithm.
      amplitude: multiplies the waveform first.
      form: `stft` (small) or `conv` (every op can be delegated); the same numbers.
      instance_norm: subtract each band's mean over time and divide by its deviation.
      sample_rate_hz: of the waveform.
      name: Keras name.

    Raises:
      ValueError: an unknown window or form, an odd frame or one longer than the transform, bands
        off the spectrum.
    """

    def __init__(
        self,
        num_mels: int = 40,
        frame_length_samples: int = 400,
        frame_step_samples: int = 160,
        fft_length: int = 512,
        lower_hz: float = 0.0,
        upper_hz: float = 8000.0,
        window: str = "hamming",
        power: float = 2.0,
        log_offset: float = 1e-6,
        amplitude: float = 1.0,
        form: str = "stft",
        instance_norm: bool = True,
        sample_rate_hz: int = typing.SAMPLE_RATE_HZ,
        name: str = "log_mel",
    ):
        # Power spectra span eight decades: never in bfloat16, whatever the policy.
        super().__init__(name=name, dtype="float32", autocast=False)
        if form not in FORMS:
            raise ValueError(f"unknown form {form!r}: choose one of {', '.join(FORMS)}")
        if frame_length_samples > fft_length or frame_length_samples % 2:
            raise ValueError(
                f"frame_length_samples {frame_length_samples} must be even and at most {fft_length}"
            )
        self.num_mels = num_mels
        self.frame_length_samples = frame_length_samples
        self.frame_step_samples = frame_step_samples
        self.fft_length = fft_length
        self.power = power
        self.log_offset = log_offset
        self.amplitude = amplitude
        self.form = form
        self.instance_norm = instance_norm
        self.window_values = signal.window(window, frame_length_samples)
        self.dft = signal.dft_matrix(self.window_values, fft_length) if form == "conv" else None
        self.mel = signal.mel_matrix(num_mels, fft_length, sample_rate_hz, lower_hz, upper_hz)

    def call(
        self, waveform: tf.Tensor, num_samples: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns log-mel frames and how many of each row are sound.

        Args:
          waveform: [B, T] float32, 16 kHz.
          num_samples: [B] int32, the sound samples, clipped to [1, T]; None means all of T.

        Returns:
          log_mel: [B, T // hop + 1, num_mels] float32, frames beyond the sound zeroed.
          num_frames: [B] int32, `num_samples // hop + 1`, or None without `num_samples`.
        """
        waveform = self.amplitude * tf.cast(waveform, tf.float32)
        num_frames = None
        if num_samples is not None:
            num_samples = tf.clip_by_value(tf.cast(num_samples, tf.int32), 1, tf.shape(waveform)[1])
            num_frames = num_samples // self.frame_step_samples + 1
        mel = self._mel(waveform, num_samples)
        log_mel = tf.math.log(mel + self.log_offset)
        valid = None if num_frames is None else frame_mask(num_frames, tf.shape(log_mel)[1])
        if self.instance_norm:
            log_mel = _normalize_over_time(log_mel, valid)
        if valid is not None:
            log_mel = log_mel * valid
        return tf.stop_gradient(log_mel), num_frames

    def _mel(self, waveform: tf.Tensor, num_samples: tf.Tensor | None) -> tf.Tensor:
        padded = signal.reflect_pad(waveform, self.frame_length_samples // 2, num_samples)
        if self.form == "conv":
            spectrum = signal.power_conv(padded, self.dft, self.frame_step_samples)
        else:
            spectrum = signal.power_stft(
                padded, self.window_values, self.frame_step_samples, self.fft_length
            )
        if self.power != 2.0:
            spectrum = tf.pow(spectrum, self.power / 2.0)
        return tf.tensordot(spectrum, tf.constant(self.mel, tf.float32), axes=1)


def frame_mask(num_frames: tf.Tensor, max_frames: tf.Tensor) -> tf.Tensor:
    """Returns 1 where a frame is sound and 0 after it, [B, max_frames, 1] float32.

    Args:
      num_frames: [B] int32.
      max_frames: int32 scalar.
    """
    return tf.expand_dims(tf.sequence_mask(num_frames, max_frames, dtype=tf.float32), 2)


def _normalize_over_time(x: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
    """Instance norm of [B, F, M] over the frames where `valid` [B, F, 1] is 1, biased variance."""
    if valid is None:
        centred = x - tf.reduce_mean(x, axis=1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axis=1, keepdims=True)
    else:
        count = tf.reduce_sum(valid, axis=1, keepdims=True)
        centred = x - tf.reduce_sum(x * valid, axis=1, keepdims=True) / count
        variance = tf.reduce_sum(tf.square(centred) * valid, axis=1, keepdims=True) / count
    return centred * tf.math.rsqrt(variance + INSTANCE_NORM_EPSILON)
