"""Blocks of sound of any rate in; one channel at 16 kHz, or the reason why it cannot be used, out.

Sound is resampled while it comes, so that a long file takes the memory of its 16 kHz mono alone.
Cut into blocks or not, the same samples come out.
"""

import numpy as np
import numpy.typing as npt
import soxr

from tfav import tensors
from tfav.media import bad_file, limits

CHANNELS = ("mean", "left")
MIN_SECONDS = 0.1
MIN_PEAK = 1e-4  # -80 dBFS; one step of PCM16 is 3e-5
MAX_PEAK = 4.0  # decoders overshoot 1 a little; beyond this the file holds integers as floats


class Mono:
    """One sound while it is decoded: `start`, `add` its blocks in order, `finish`.

    It is a context: a long sound waits inside it until no other long one is decoded.

    Args:
      channel: `mean` of all channels, or `left` (the first one).
      bounds: of rate and length.
      dtype: of what comes out: float32, or int16 (PCM16, in half of the memory).

    Attributes:
      channel: as given; likewise `bounds`.
      rate_hz: of the blocks; 0 before `start`.
      num_samples: of the one channel so far, at `rate_hz`.
    """

    def __init__(self, channel: str, bounds: limits.Limits, dtype: npt.DTypeLike = np.float32):
        if channel not in CHANNELS:
            raise ValueError(f"channel {channel!r} is none of {CHANNELS}")
        self.channel = channel
        self.rate_hz = 0
        self.bounds = bounds
        self._dtype = np.dtype(dtype)
        self._turn = limits.Turn()
        self._resampler: soxr.ResampleStream | None = None
        self._blocks: list[np.ndarray] = []
        self.num_samples = self._kept = self._broken = 0
        self._peak = self._loudest = 0.0  # of the one channel, and of all of them

    def __enter__(self) -> "Mono":
        return self

    def __exit__(self, *exception: object) -> None:
        self._turn.__exit__(*exception)

    def start(self, rate_hz: int) -> None:
        """Takes the rate of the blocks that follow. Raises BadFile out of range, or for another."""
        if self.rate_hz not in (0, rate_hz):
            raise bad_file.BadFile(f"changes its rate from {self.rate_hz} to {rate_hz} Hz")
        if self.rate_hz:
            return
        self.bounds.check_rate(rate_hz)
        self.rate_hz = rate_hz
        if rate_hz != tensors.SAMPLE_RATE_HZ:
            self._resampler = soxr.ResampleStream(
                rate_hz, tensors.SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ"
            )

    def add(self, frames: np.ndarray) -> None:
        """Takes the next samples [n, channels] float32.

        Raises:
          BadFile: the sound is longer than it may be.
        """
        several = frames.shape[1] > 1
        samples = frames[:, 0] if self.channel == "left" or not several else frames.mean(axis=1)
        self.add_mono(samples, _peak(frames) if several else 0.0)

    def add_mono(self, samples: np.ndarray, loudest: float = 0.0) -> None:
        """Takes the next samples [n] float32 of the one channel; see `add`.

        Args:
          samples: of the mean or of the first channel.
          loudest: peak of all channels before they were joined; 0: there is one.
        """
        if not len(samples):
            return
        self.num_samples += len(samples)
        if self.num_samples > self.bounds.max_seconds * self.rate_hz:
            raise bad_file.BadFile(f"lasts longer than --max_seconds={self.bounds.max_seconds:g}")
        self._broken += int(np.count_nonzero(~np.isfinite(samples)))
        self._peak = max(self._peak, _peak(samples))
        self._loudest = max(self._loudest, loudest)
        self._keep(samples if self._resampler is None else self._resampler.resample_chunk(samples))

    @property
    def silent(self) -> bool:
        """Whether no channel holds more than silence so far."""
        return max(self._peak, self._loudest) < MIN_PEAK and not self._broken

    def finish(self) -> np.ndarray:
        """Returns [T] at 16 kHz: float32 in [-1, 1] but for what resampling overshoots, or int16.

        Raises:
          BadFile: NaN or infinite samples, samples far outside [-1, 1], silence, channels that
            cancel each other out, or less than 0.1 s.
        """
        if self._broken:
            raise bad_file.BadFile(f"has {self._broken} samples that are NaN or infinite")
        if not self.num_samples or self.num_samples / self.rate_hz < MIN_SECONDS:
            # Rounded down: 0.0999 s must not read as 0.1 s.
            millis = 1000 * self.num_samples // max(1, self.rate_hz)
            raise bad_file.BadFile(f"lasts {millis / 1000:.3f} s, less than {MIN_SECONDS} s")
        loudest = self._peak if self.channel == "left" else max(self._peak, self._loudest)
        if loudest > MAX_PEAK:  # of each channel: what is left of two that cancel is rounding
            raise bad_file.BadFile(
                f"has float samples up to {loudest:.3g}, which should lie in [-1, 1]"
            )
        if self._peak < MIN_PEAK:
            if self._loudest < MIN_PEAK:
                raise bad_file.BadFile(f"is silent (peak {self._peak:.1e})")
            if self.channel == "left":
                raise bad_file.BadFile("is silent in its first channel, which is the one to take")
            raise bad_file.BadFile(
                "has channels that cancel each other out, so that their mean is silent: keep one "
                "of them (ffmpeg -i IN -af pan=mono|c0=c0 OUT)"
            )
        if self._resampler is not None:
            self._keep(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        whole, end = np.empty(self._kept, self._dtype), self._kept
        while self._blocks:  # each goes as soon as it is copied
            block = self._blocks.pop()
            whole[end - len(block) : end] = block
            end -= len(block)
        return whole

    def _keep(self, samples: np.ndarray) -> None:
        self._kept += len(samples)
        self._turn.take(self._kept * self._dtype.itemsize)
        # A copy: a view would keep all channels.
        block = to_pcm16(samples) if self._dtype == np.int16 else np.array(samples, np.float32)
        self._blocks.append(block)


def checked(samples: np.ndarray) -> np.ndarray:
    """Returns samples [T] float32 at 16 kHz as they are, if the reader of files would take them.

    Raises:
      BadFile: as `Mono.finish` says, or beyond the default limits.
    """
    with Mono("mean", limits.DEFAULT) as sound:
        sound.start(tensors.SAMPLE_RATE_HZ)
        sound.add_mono(samples)
        return sound.finish()


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Rounds [T] float32 in [-1, 1] to [T] int16; 16-bit files survive unchanged."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def _peak(samples: np.ndarray) -> float:
    return max(float(samples.max(initial=0)), -float(samples.min(initial=0)))
