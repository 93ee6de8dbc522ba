"""The toys of the synthetic scenes: how each kind looks, and what it sounds like."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from scipy import fft

SAMPLE_RATE_HZ = 16_000
SECONDS = 1.8
_TURNS = 6  # in a sound; each toy takes some of them


@dataclasses.dataclass(frozen=True)
class Kind:
    """What all toys of a kind share.

    Attributes:
      name: of the kind.
      inside: says of x and y in [-1, 1] whether the toy is there; y points down.
      pitch_hz: of its lowest partial.
      partials: multiples of it; the amplitude of the n-th is 1 / n.
      glide: octaves from the start of a call to its end.
      noise: amplitude of the hiss beside the partials.
      decay: of a call, e-folds a second.
      flutter_hz: at which its loudness trembles; 0: it does not.
    """

    name: str
    inside: Callable[[np.ndarray, np.ndarray], np.ndarray]
    pitch_hz: float
    partials: tuple[float, ...]
    glide: float = 0.0
    noise: float = 0.0
    decay: float = 0.0
    flutter_hz: float = 0.0


KINDS = (
    Kind("bell", lambda x, y: x**2 + y**2 < 1, 1100, (1, 2.76, 5.4), decay=7),
    Kind("drum", lambda x, y: abs(x) + abs(y) < 1, 110, (1, 1.59, 2.14), -0.6, 0.2, decay=12),
    Kind("whistle", lambda x, y: np.maximum(abs(x), abs(y)) < 1, 2400, (1,)),
    Kind("horn", lambda x, y: abs(x) < (1 + y) / 2, 300, (1, 2, 3, 4)),
    Kind("siren", lambda x, y: (x**2 + y**2 > 0.2) & (x**2 + y**2 < 1), 650, (1, 3), glide=1.0),
    Kind("buzzer", lambda x, y: np.minimum(abs(x), abs(y)) < 0.4, 160, (1, 3, 5, 7, 9, 11, 13)),
    Kind("rattle", lambda x, y: abs(x) < abs(y), 5000, (1,), noise=8.0, flutter_hz=25),
    Kind("bird", lambda x, y: x**2 + (y + 1) ** 2 / 4 < 1, 4200, (1,), -0.7, flutter_hz=12),
)


def play(kinds: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Returns the sound, [T] int16: the toys in turns that overlap a little, in soft noise.

    A toy alone takes as many turns as one of two.
    """
    num_samples = round(SAMPLE_RATE_HZ * SECONDS)
    turns = rng.permutation(_TURNS)
    each = _TURNS // max(2, len(kinds))
    wave = np.zeros(num_samples)
    for place, kind in enumerate(kinds):
        level = 10 ** (rng.uniform(-4, 4) / 20)
        semitones = rng.uniform(-1, 1)
        for turn in turns[place * each : (place + 1) * each]:
            length = round(SAMPLE_RATE_HZ * rng.uniform(0.2, 0.36))
            start = round(num_samples * turn / _TURNS + SAMPLE_RATE_HZ * rng.uniform(0, 0.08))
            call = level * _call(KINDS[kind], semitones, length, rng)[: num_samples - start]
            wave[start : start + len(call)] += call
    wave /= np.sqrt(np.mean(wave**2))
    wave += 10 ** (rng.uniform(-35, -20) / 20) * hiss(num_samples, rng)
    wave *= 10 ** (rng.uniform(-26, -18) / 20) / np.sqrt(np.mean(wave**2))
    return np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)


def _call(kind: Kind, semitones: float, length: int, rng: np.random.Generator) -> np.ndarray:
    """Returns one call of unit power, [length]."""
    seconds = np.arange(length) / SAMPLE_RATE_HZ
    octaves = semitones / 12 + kind.glide * seconds / seconds[-1]
    cycles = np.cumsum(kind.pitch_hz * 2**octaves) / SAMPLE_RATE_HZ
    wave = kind.noise * (rng.standard_normal(length) if kind.noise else 0.0)
    for number, multiple in enumerate(kind.partials, 1):
        wave = wave + np.sin(2 * np.pi * (multiple * cycles + rng.random())) / number
    wave = wave * np.exp(-kind.decay * seconds)
    if kind.flutter_hz:
        wave = wave * (1 + 0.9 * np.sin(2 * np.pi * (kind.flutter_hz * seconds + rng.random())))
    wave *= np.minimum(1, np.minimum(seconds, seconds[::-1]) / 0.008)  # no click at its ends
    return wave / np.sqrt(np.mean(wave**2))


def hiss(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Returns noise of unit power that falls off above 500 Hz, [num_samples]."""
    spectrum = fft.rfft(rng.standard_normal(num_samples))
    spectrum /= np.sqrt(1 + (fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ) / 500.0) ** 2)
    wave = fft.irfft(spectrum, num_samples)
    return wave / wave.std()
