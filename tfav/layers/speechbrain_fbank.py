"""The front-end under SpeechBrain's encoders of speakers."""

import keras
import numpy as np
import tensorflow as tf

from tfav import tensors
from tfav.layers import frontend
from tfav.ops import signal

FLOOR = 1e-10  # under the power of a band


@keras.saving.register_keras_serializable("tfav")
class SpeechBrainFbank(frontend.Frontend):
    """SpeechBrain's `Fbank` and `InputNormalization(norm_type="sentence", std_norm=False)`.

    Mel bands of the power spectrum in decibels, none more than `range_db` below the loudest of the
    clip, less each band's mean over the clip. Frames are centred and zeros lie beyond the clip,
    where `LogMel` mirrors it. A band falls on either side as it rises from its left neighbour's
    centre, so that it is narrower above its centre than `LogMel`'s.

    Args:
      num_mels: Number of HTK-mel bands.
      frame_length_samples: Length of the Hamming window and of the Fourier transform, even.
      frame_step_samples: Hop from one frame to the next.
      lower_hz: Lower corner of the first band.
      upper_hz: Upper corner of the last band.
      range_db: Decibels from the loudest value of a clip to the softest that is kept.
      form: Form of the transform, `stft` or `conv`; here both are the convolution, because the
        transform of TFLite takes powers of two alone and this one has 400 points.
      silence_db: Decibels below the clip's level at which silence begins, see `frontend.Frontend`.
      level_norm: Whether each clip is divided by its level, see `frontend.Frontend`.
      sample_rate_hz: Sample rate of the waveform.
      name: Name of the layer.

    Raises:
      ValueError: As in `frontend.Frontend`; or the bands leave the spectrum.
    """

    def __init__(
        self,
        num_mels: int = 80,
        frame_length_samples: int = 400,
        frame_step_samples: int = 160,
        lower_hz: float = 0.0,
        upper_hz: float = 8000.0,
        range_db: float = 80.0,
        form: str = "stft",
        silence_db: float = 0.0,
        level_norm: bool = False,
        sample_rate_hz: int = tensors.SAMPLE_RATE_HZ,
        name: str = "speechbrain_fbank",
    ):
        super().__init__(
            frame_length_samples,
            frame_step_samples,
            fft_length=frame_length_samples,
            window="hamming",
            centered=True,
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
            lower_hz=lower_hz,
            upper_hz=upper_hz,
            range_db=range_db,
            form=form,
            silence_db=silence_db,
            level_norm=level_norm,
            sample_rate_hz=sample_rate_hz,
        )
        self.dft = signal.dft_matrix(self.window_values, frame_length_samples)
        self.num_bands = num_mels
        self.range_db = range_db
        self.mel = signal.mel_matrix(
            num_mels, frame_length_samples, sample_rate_hz, lower_hz, upper_hz, "rising"
        )

    def padded(self, waveform: tf.Tensor, num_samples: tf.Tensor | None) -> tf.Tensor:
        """Returns the waveform [B, T] with half a frame of zeros on either side."""
        half = self.frame_length_samples // 2
        return tf.pad(signal.zero_pad(waveform, 0, num_samples), [[0, 0], [half, half]])

    def image(self, spectrum: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
        """Returns [B, frames, num_mels] in decibels, of mean 0 over the clip."""
        mel = tf.tensordot(spectrum, tf.constant(self.mel, spectrum.dtype), axes=1)
        level = (10.0 / np.log(10.0)) * tf.math.log(tf.maximum(mel, FLOOR))
        heard = level if valid is None else tf.where(valid > 0, level, level.dtype.min)
        loudest = tf.reduce_max(heard, axis=[1, 2], keepdims=True)
        level = tf.maximum(level, loudest - self.range_db)
        if valid is None:
            return level - tf.reduce_mean(level, axis=1, keepdims=True)
        count = tf.reduce_sum(valid, axis=1, keepdims=True)
        return level - tf.reduce_sum(level * valid, axis=1, keepdims=True) / count
