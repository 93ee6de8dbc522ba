"""What every audio front-end is: a layer inside the network, so that it is exported with it.

A front-end turns a waveform [B, T] and its `num_samples` into an image [B, frames, num_bands] and
its `num_frames`. What follows `num_samples` is never read, and frames after `num_frames` are 0.
With `silence_db`, silence is cut out of the clip first.
"""

import tensorflow as tf

from tfav.layers import layer
from tfav.ops import level, precision, signal

FORMS = ("stft", "conv")


class Frontend(layer.Layer):
    """Frames, a window, a power spectrum; a subclass makes an image of it.

    Centred, frame k has its middle on sample `k * frame_step_samples`, clips are mirrored at their
    own first and last sample (very short ones repeatedly), and n samples are `n // hop + 1` frames.
    Not centred, frame k begins there and only whole frames count: n samples are
    `(n - frame) // hop + 1` of them, and a clip shorter than one frame is one frame that ends in
    zeros.

    With `silence_db`, the clip is what `level.without_silence` leaves of it; with `level_norm`, it
    is divided by its level, so that the gain of a recording does not count.

    Args:
      frame_length_samples: Length of the window, at most `fft_length`.
      frame_step_samples: Hop from one frame to the next.
      fft_length: Number of points of the Fourier transform.
      window: Name of the periodic window, one of `signal.WINDOWS`.
      centered: Whether frames are centred, see above.
      detrend: Whether each frame's mean is taken away before the window.
      form: Form of the transform: `stft` (small) or `conv` (a delegate can run every op); both
        give the same numbers.
      silence_db: Decibels below the clip's level at which silence begins; 0: none is cut out.
      level_norm: Whether each clip is divided by its level.
      name: Name of the layer.

    Raises:
      ValueError: The window or the form is unknown, the frame is longer than the transform, or
        `silence_db` is below 0.
    """

    num_bands: int

    def __init__(
        self,
        frame_length_samples: int,
        frame_step_samples: int,
        fft_length: int,
        window: str,
        centered: bool,
        detrend: bool,
        form: str,
        silence_db: float,
        level_norm: bool,
        name: str,
    ):
        # Power spectra span eight decades: never in bfloat16, whatever the policy.
        super().__init__(name=name, dtype=precision.full_dtype(), autocast=False)
        if form not in FORMS:
            raise ValueError(f"unknown form {form!r}: choose one of {', '.join(FORMS)}")
        if frame_length_samples > fft_length or (centered and frame_length_samples % 2):
            raise ValueError(
                f"frame_length_samples {frame_length_samples} must be at most {fft_length} and, of "
                "centred frames, even"
            )
        if silence_db < 0:
            raise ValueError(f"silence_db {silence_db} must not be below 0")
        self.frame_length_samples = frame_length_samples
        self.frame_step_samples = frame_step_samples
        self.fft_length = fft_length
        self.centered = centered
        self.detrend = detrend
        self.form = form
        self.silence_db = silence_db
        self.level_norm = level_norm
        self.window_values = signal.window(window, frame_length_samples)
        self.dft = None
        if form == "conv":
            self.dft = signal.dft_matrix(self.window_values, fft_length, detrend)

    def call(
        self, waveform: tf.Tensor, num_samples: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the image of each clip and the number of its frames.

        Args:
          waveform: [B, T] float32, 16 kHz.
          num_samples: Number of samples of each clip, [B] int32, clipped to [1, T]; None means all
            of T.

        Returns:
          image: [B, frames of T, num_bands] float32, frames beyond the clip zeroed.
          num_frames: [B] int32, of what is left of each clip where silence is cut out.
        """
        waveform = tf.cast(waveform, self.compute_dtype)
        if num_samples is not None:
            num_samples = tf.clip_by_value(tf.cast(num_samples, tf.int32), 1, tf.shape(waveform)[1])
        if self.silence_db:
            waveform, num_samples = level.without_silence(waveform, self.silence_db, num_samples)
        if self.level_norm:
            waveform = level.levelled(waveform, num_samples)
        num_frames, valid = None, None
        if num_samples is not None:
            num_frames = self.count_frames(num_samples)
        spectrum = self._power(self.prepare(waveform, num_samples), num_samples)
        if num_frames is not None:
            valid = frame_mask(num_frames, tf.shape(spectrum)[1], spectrum.dtype)
        image = self.image(spectrum, valid)
        if num_frames is None:  # Keras 3 takes no None for the output of a layer
            num_frames = tf.fill(tf.shape(image)[:1], tf.shape(image)[1])
        else:
            image = image * valid
        return tf.stop_gradient(image), num_frames

    def count_frames(self, num_samples: tf.Tensor) -> tf.Tensor:
        """Returns the number of frames, int32, of so many samples, int32 of any shape."""
        if self.centered:
            return num_samples // self.frame_step_samples + 1
        whole = (num_samples - self.frame_length_samples) // self.frame_step_samples + 1
        return tf.maximum(whole, 1)

    def prepare(self, waveform: tf.Tensor, num_samples: tf.Tensor | None) -> tf.Tensor:
        """Returns the waveform [B, T] as the transform takes it; by default unchanged."""
        return waveform

    def padded(self, waveform: tf.Tensor, num_samples: tf.Tensor | None) -> tf.Tensor:
        """Returns the waveform [B, T] with what its first and last frames reach beyond it."""
        if self.centered:
            return signal.reflect_pad(waveform, self.frame_length_samples // 2, num_samples)
        return signal.zero_pad(waveform, self.frame_length_samples, num_samples)

    def image(self, spectrum: tf.Tensor, valid: tf.Tensor | None) -> tf.Tensor:
        """Returns [B, frames, num_bands] of power [B, frames, bins] and its mask [B, frames, 1]."""
        raise NotImplementedError

    def _power(self, waveform: tf.Tensor, num_samples: tf.Tensor | None) -> tf.Tensor:
        step = self.frame_step_samples
        padded = self.padded(waveform, num_samples)
        if self.dft is not None:
            return signal.power_conv(padded, self.dft, step)
        return signal.power_stft(padded, self.window_values, step, self.fft_length, self.detrend)


def frame_mask(
    num_frames: tf.Tensor, max_frames: tf.Tensor, dtype: tf.DType = tf.float32
) -> tf.Tensor:
    """Returns 1 where a frame belongs to its clip and 0 after it, [B, max_frames, 1].

    Args:
      num_frames: Number of frames of each clip, [B] int32.
      max_frames: Number of frames of the mask, int32 scalar.
      dtype: Type of the mask.
    """
    return tf.expand_dims(tf.sequence_mask(num_frames, max_frames, dtype=dtype), 2)
