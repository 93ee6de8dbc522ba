"""The voice half of the synthetic corpus: source-filter speech from a person's latent vector.

NumPy and SciPy only. The vocal tract follows the acoustic theory of speech production (Fant, 1960):
glottal pulses and noise through resonators that move from vowel to vowel.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import fft, signal

SAMPLE_RATE_HZ = 16_000  # of tfav.tensors, which would import TensorFlow for it
_HOP_SAMPLES = 80  # control tracks run at 200 frames a second
_FFT_LENGTH = 512
_FREQUENCIES_HZ = np.float32(fft.rfftfreq(_FFT_LENGTH, 1 / SAMPLE_RATE_HZ))

# F1, F2, F3 in Hz of an adult man (Peterson and Barney, 1952): i, e, ae, a, o, u.
_VOWELS_HZ = np.array(
    [
        [270, 2290, 3010],
        [530, 1840, 2480],
        [660, 1720, 2410],
        [730, 1090, 2440],
        [570, 840, 2410],
        [300, 870, 2240],
    ],
    np.float64,
)
_NEUTRAL_HZ = np.array([500.0, 1500.0, 2500.0])
_BANDWIDTHS_HZ = np.array([70.0, 90.0, 130.0])
_UPPER_FORMANTS_HZ = np.array([3500.0, 4500.0, 5500.0, 6500.0, 7500.0])


@dataclasses.dataclass(frozen=True)
class Manner:
    """How one person speaks. Nothing here differs between their utterances."""

    pitch_hz: float
    tract_scale: float  # multiplies every formant: a short tract is above one
    breath: float  # amplitude of aspiration noise beside the pulses
    syllables_per_second: float
    legato: float  # share of a syllable that sounds
    vowel_spread: float  # how far vowels move from the neutral one
    sibilance_hz: float  # centre of the fricatives


def manner(female: bool, latent: np.ndarray) -> Manner:
    """Returns the manner of speaking of a person.

    Args:
      female: the gender bit, which sets the register: octave and length of the vocal tract.
      latent: [5] in [-1, 1], in the order of `synthetic.LATENTS`.
    """
    size, breath, tempo, diction, spread = latent
    return Manner(
        pitch_hz=(205.0 if female else 112.0) * np.exp(-0.24 * size),
        tract_scale=(1.14 if female else 0.98) * np.exp(-0.13 * size),
        breath=10 ** ((-29.0 + 15.0 * breath) / 20),
        syllables_per_second=4.0 * np.exp(0.48 * tempo),
        legato=0.68 + 0.24 * diction,
        vowel_spread=0.8 + 0.5 * spread,
        sibilance_hz=4700.0 * np.exp(0.36 * diction),
    )


def speak(manner: Manner, rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Synthesises one utterance: random syllables, intonation, loudness, room and noise from `rng`.

    Returns:
      [T] int16, T = round(16000 * seconds).
    """
    num_samples = round(SAMPLE_RATE_HZ * seconds)
    num_frames = -(-num_samples // _HOP_SAMPLES) + 1
    formants_hz, voicing, frication = _syllables(manner, rng, num_frames)
    times = np.arange(num_frames * _HOP_SAMPLES) / _HOP_SAMPLES
    frames = np.arange(num_frames)
    voicing_level = np.interp(times, frames, voicing)
    pulses = _glottal_pulses(_pitch_hz(manner, rng, num_frames), times, frames, rng)
    # Aspiration outlasts voicing: a breathy voice fills its gaps, a clear one falls silent.
    aspiration = manner.breath * rng.standard_normal(len(times)) * (0.4 + 0.6 * voicing_level)
    wave = _vocal_tract(pulses * voicing_level + aspiration, formants_hz, manner.tract_scale)
    wave = wave / np.sqrt(np.mean(wave**2) + 1e-12)
    hiss = _coloured_noise(lambda hz: _fricative(hz, manner.sibilance_hz), len(times), rng)
    hiss *= np.interp(times, frames, frication)
    return _record((wave + 0.33 * hiss)[:num_samples], rng)


def _syllables(
    manner: Manner, rng: np.random.Generator, num_frames: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws syllables: formants [F, 3] in Hz, voicing [F] and frication [F] about 0..1."""
    formants, voicing, frication = (
        np.zeros((num_frames, 3)),
        np.zeros(num_frames),
        np.zeros(num_frames),
    )
    vowels_hz = _NEUTRAL_HZ * (_VOWELS_HZ / _NEUTRAL_HZ) ** manner.vowel_spread
    frames_a_second = SAMPLE_RATE_HZ / _HOP_SAMPLES
    start, previous = 0, -1
    while start < num_frames:
        syllable = frames_a_second / manner.syllables_per_second * rng.uniform(0.85, 1.15)
        length = max(8, round(syllable))
        vowel = (previous + rng.integers(1, len(vowels_hz))) % len(vowels_hz)
        previous = vowel
        sounding = start + round(manner.legato * length)
        onset = start
        if rng.random() < 0.55:
            onset = start + round(0.4 * manner.legato * length)
            frication[start:onset] = rng.uniform(0.8, 1.2)
        voicing[onset:sounding] = rng.uniform(0.75, 1.25)
        formants[start : start + length] = vowels_hz[vowel] * rng.normal(1.0, 0.02, 3)
        start += length
        if rng.random() < 0.06:
            start += round(0.12 * frames_a_second)
    formants[formants[:, 0] == 0] = _NEUTRAL_HZ
    return _smooth(formants * manner.tract_scale, 17), _smooth(voicing, 7), _smooth(frication, 5)


def _smooth(track: np.ndarray, width: int) -> np.ndarray:
    """Rounds the corners of a track [F] or [F, C] with a Hann window of `width` frames."""
    window = np.hanning(width + 2)[1:-1]
    window = (window / window.sum()).reshape((-1,) + (1,) * (track.ndim - 1))
    padded = np.pad(track, [(width // 2, width // 2)] + [(0, 0)] * (track.ndim - 1), "edge")
    return signal.convolve(padded, window, mode="valid", method="direct")


def _pitch_hz(manner: Manner, rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """Intonation [F]: a falling line, accents of about a second, and a light tremor."""
    seconds = np.arange(num_frames) * _HOP_SAMPLES / SAMPLE_RATE_HZ
    phase = rng.uniform(0, 2 * np.pi, 3)
    shape = 0.07 * np.sin(2 * np.pi * rng.uniform(0.5, 1.1) * seconds + phase[0])
    shape += 0.03 * np.sin(2 * np.pi * rng.uniform(1.5, 2.5) * seconds + phase[1])
    shape += 0.008 * np.sin(2 * np.pi * 5.5 * seconds + phase[2])
    shape -= 0.05 * (seconds / max(seconds[-1], 1e-9) - 0.5)
    return manner.pitch_hz * np.exp(shape + 0.02 * rng.standard_normal())


def _glottal_pulses(
    pitch_hz: np.ndarray, times: np.ndarray, frames: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Glottal pulses of unit power, with jitter (0.7 %) and shimmer (6 %): [F * hop]."""
    rate = np.interp(times, frames, pitch_hz) / SAMPLE_RATE_HZ
    phase = np.cumsum(rate) + rng.random()
    at = np.flatnonzero(np.diff(np.floor(phase)) > 0) + 1
    period = 1 / rate[at]
    position = at - (phase[at] - np.floor(phase[at])) * period
    position = position + 0.007 * period * rng.standard_normal(len(at))
    height = np.sqrt(period) * (1 + 0.06 * rng.standard_normal(len(at)))
    left = np.clip(np.floor(position).astype(int), 0, len(times) - 2)
    right = np.clip(position - left, 0.0, 1.0)
    train = np.zeros(len(times))
    np.add.at(train, left, height * (1 - right))
    np.add.at(train, left + 1, height * right)
    # Glottal flow falls 12 dB an octave, radiation at the lips gives 6 back.
    pole = np.exp(-2 * np.pi * 150.0 / SAMPLE_RATE_HZ)
    train = signal.lfilter([1.0, -1.0], [1.0, -2 * pole, pole**2], train)
    return train / np.sqrt(np.mean(train**2) + 1e-12)


def _resonance(centre_hz: np.ndarray, width_hz: np.ndarray) -> np.ndarray:
    """Product over formants [..., K] of resonators of unit gain at 0 Hz: [..., bins]."""
    centre, width = np.float32(centre_hz)[..., None], np.float32(width_hz)[..., None]
    poles = (centre**2 - _FREQUENCIES_HZ**2) / centre**2 + 1j * (
        width / centre**2
    ) * _FREQUENCIES_HZ
    return 1 / poles.prod(axis=-2)


def _vocal_tract(source: np.ndarray, formants_hz: np.ndarray, tract_scale: float) -> np.ndarray:
    """Filters a source [F * hop] by moving formants [F, 3]: cross-faded filters, one a frame."""
    upper = _UPPER_FORMANTS_HZ * tract_scale
    response = _resonance(formants_hz, _BANDWIDTHS_HZ) * _resonance(upper, 0.05 * upper)
    window = np.hanning(2 * _HOP_SAMPLES + 1)[:-1]  # shifted by one hop it adds up to one
    padded = np.concatenate([np.zeros(_HOP_SAMPLES), source]).astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, len(window))[::_HOP_SAMPLES]
    pieces = fft.rfft(pieces * window.astype(np.float32), _FFT_LENGTH) * response[: len(pieces)]
    pieces = fft.irfft(pieces, _FFT_LENGTH)
    wave = np.zeros(len(padded) + _FFT_LENGTH)
    for offset in range(0, _FFT_LENGTH, _HOP_SAMPLES):
        part = pieces[:, offset : offset + _HOP_SAMPLES]
        part = np.pad(part, [(0, 0), (0, _HOP_SAMPLES - part.shape[1])])
        wave[offset : offset + part.size] += part.reshape(-1)
    return wave[_HOP_SAMPLES : _HOP_SAMPLES + len(source)]


def _coloured_noise(
    gain: Callable[[np.ndarray], np.ndarray], num_samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Noise [num_samples] of unit power whose spectrum follows `gain` (Hz to amplitude)."""
    length = fft.next_fast_len(
        num_samples, real=True
    )  # a prime length would take ten times as long
    spectrum = fft.rfft(rng.standard_normal(length))
    wave = fft.irfft(spectrum * gain(fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)), length)[
        :num_samples
    ]
    return wave / np.sqrt(np.mean(wave**2))


def _fricative(hz: np.ndarray, centre_hz: float) -> np.ndarray:
    """Spectrum of an s or sh: half an octave around `centre_hz`, over a faint wide base."""
    octaves = np.log2(np.maximum(hz, 1.0) / centre_hz)
    return 0.02 + np.exp(-0.5 * (octaves / 0.22) ** 2)


def _record(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What differs from file to file and tells nothing of the person: room, noise and loudness."""
    decay_seconds = rng.uniform(0.02, 0.05)
    tail = np.arange(1, 2400) / SAMPLE_RATE_HZ
    room = np.exp(-tail / decay_seconds) * rng.standard_normal(len(tail))
    room *= 10 ** (rng.uniform(-22, -16) / 20) / np.sqrt(np.sum(room**2))
    wave = signal.fftconvolve(wave, np.concatenate([[1.0], room]))[: len(wave)]
    power = np.sqrt(np.mean(wave**2) + 1e-12)
    noise = _coloured_noise(lambda hz: 1 / np.sqrt(1 + hz / 200.0), len(wave), rng)
    noise *= power * 10 ** (rng.uniform(-52, -46) / 20)
    loudness = 10 ** (rng.uniform(-26, -18) / 20)
    return np.round(np.clip((wave + noise) / power * loudness, -1, 1) * 32767).astype(np.int16)
