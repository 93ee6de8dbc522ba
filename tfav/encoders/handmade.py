"""Features of audio that nobody trains: the hand-made rows of Table 1 of DMC's supplement.

RG, LTT and RNH are three ways to describe an acoustic scene from before networks were trained for
it. Only their abstracts and what later papers say of them were at hand, not the papers' text and
none of their code. So each function says what is known of the feature and what was chosen here;
nothing was tuned on any data. The papers hear 44.1 kHz, and everything here 16 kHz. Each paper has
a classifier of its own, where all rows of our table have the one linear probe.

A row is a function of one waveform [T] float, 16 kHz, T at least 1, to a vector [D] float64.
"""

import functools
from collections.abc import Callable

import numpy as np
from scipy import fft, ndimage, special

from tfav import tensors
from tfav.ops import signal

_FRAME, _STEP, _POINTS = 400, 160, 512  # 25 ms every 10 ms
_MELS, _COEFFICIENTS = 40, 13
_SILENCE = 1e-10  # of power, before each logarithm

_LOWEST_HZ, _PER_OCTAVE, _OCTAVES = 62.5, 8, 7  # of the constant-Q transform, up to 7.3 kHz
_Q_POINTS, _Q_STEP = 4096, 320
_SIDE, _CELL, _ORIENTATIONS = 512, 8, 8

_WAVELET_LEVELS = 8
_ROLLED_OFF = 0.85

_WINDOW, _HOP = 40, 20  # frames of a recurrence plot, and from one to the next
_RADIUS = 0.1
_SHORTEST = 2  # points that make a line


def histogram_of_gradients(waveform: np.ndarray) -> np.ndarray:
    """Returns RG's features, [512] (Rakotomamonjy and Gasso, TASLP 2015).

    Known: a time-frequency representation is read as an image, histograms of the orientation of its
    gradients say in which direction the power varies, and they are pooled. Chosen: a constant-Q
    transform of 8 bands per octave in decibels, stretched to 512 x 512; cells of 8 x 8 with 8
    signed orientations; the mean over time, so that each band of cells keeps a histogram.
    """
    power = constant_q(waveform).T
    decibels = 10.0 * np.log10(power + _SILENCE)
    zoom = [_SIDE / length for length in decibels.shape]
    image = ndimage.zoom(decibels, zoom, order=1, mode="nearest", grid_mode=True)
    return gradients(image).mean(axis=1).ravel()


def spectral_statistics(waveform: np.ndarray) -> np.ndarray:
    """Returns LTT's features, [44] (Li, Tam and Toub, DCASE 2013).

    Known: MFCC, wavelets and further features of short frames. Chosen: mean and deviation over
    time of 13 MFCC, log power, spectral centroid, roll-off (85 %), flux and zero crossings; the log
    power of 8 levels of Haar wavelets. Their bagged trees and their vote over windows are left out.
    """
    frames = _frames(waveform, _FRAME, _STEP)
    power = _power(frames)
    share = power / (power.sum(axis=1, keepdims=True) + _SILENCE)
    place = np.linspace(0.0, 1.0, power.shape[1])  # 1: half the sample rate
    rolled_off = (np.cumsum(share, axis=1) < _ROLLED_OFF).mean(axis=1)
    flux = np.sqrt(np.square(np.diff(share, axis=0, prepend=share[:1])).sum(axis=1))
    crossings = (np.diff(np.signbit(frames), axis=1) != 0).mean(axis=1)
    loud = np.log(np.square(frames).mean(axis=1) + _SILENCE)
    each = np.stack([loud, share @ place, rolled_off, flux, crossings], axis=1)
    each = np.concatenate([mfcc(waveform), each], axis=1)
    return np.concatenate([each.mean(axis=0), each.std(axis=0), wavelet_levels(waveform)])


def recurrence(waveform: np.ndarray) -> np.ndarray:
    """Returns RNH's features, [35] (Roma, Nogueira and Herrera, WASPAA 2013).

    Known: mean and variance of MFCC, and recurrence quantification of their similarity matrix, in
    windows whose measures are averaged. Chosen: 13 MFCC up to 8 kHz (for the challenge they heard
    below 1 kHz alone, which, they wrote later, helps on its data only); windows of 40 frames that
    overlap by half; two frames recur where the cosine distance of their MFCC without the zeroth is
    below 0.1.
    """
    found = mfcc(waveform)
    shape = found[:, 1:]
    size = min(_WINDOW, len(shape))
    windows = np.lib.stride_tricks.sliding_window_view(shape, size, axis=0)[::_HOP]
    windows = np.swapaxes(windows, 1, 2)  # [W, size, 12]
    length = np.linalg.norm(windows, axis=2, keepdims=True)
    unit = windows / np.maximum(length, 1e-9)
    cosine = unit @ np.swapaxes(unit, 1, 2)
    # Silence has no shape, and is like silence.
    silent = length < 1e-9
    recurrent = (cosine > 1.0 - _RADIUS) | (silent & np.swapaxes(silent, 1, 2))
    measures = recurrence_measures(recurrent).mean(axis=0)
    return np.concatenate([found.mean(axis=0), found.var(axis=0), measures])


def mfcc(waveform: np.ndarray) -> np.ndarray:
    """Returns 13 mel-frequency cepstral coefficients of each frame, [N, 13]."""
    half = tensors.SAMPLE_RATE_HZ / 2
    mel = signal.mel_matrix(_MELS, _POINTS, tensors.SAMPLE_RATE_HZ, 0.0, half)
    bands = np.log(_power(_frames(waveform, _FRAME, _STEP)) @ mel + _SILENCE)
    return fft.dct(bands, norm="ortho", axis=1)[:, :_COEFFICIENTS]


def constant_q(waveform: np.ndarray) -> np.ndarray:
    """Returns the power of 56 bands, 8 per octave from 62.5 Hz, every 20 ms: [N, 56]."""
    padded = np.pad(np.asarray(waveform, np.float64), _Q_POINTS // 2)
    spectrum = np.fft.rfft(_frames(padded, _Q_POINTS, _Q_STEP), axis=1)
    return np.square(np.abs(spectrum @ _constant_q_kernel()))


@functools.lru_cache(maxsize=1)
def _constant_q_kernel() -> np.ndarray:
    """Returns the spectral kernel [bins, bands] of Brown and Puckette (1992)."""
    quality = 1.0 / (2.0 ** (1.0 / _PER_OCTAVE) - 1.0)
    columns = []
    for band in range(_PER_OCTAVE * _OCTAVES):
        hz = _LOWEST_HZ * 2.0 ** (band / _PER_OCTAVE)
        size = int(np.ceil(quality * tensors.SAMPLE_RATE_HZ / hz))
        window = signal.window("hann", size)
        time = np.arange(size) - size // 2
        tone = window / window.sum() * np.exp(2j * np.pi * hz / tensors.SAMPLE_RATE_HZ * time)
        kernel = np.zeros(_Q_POINTS, complex)
        kernel[_Q_POINTS // 2 - size // 2 :][:size] = tone
        columns.append(np.fft.fft(kernel)[: _Q_POINTS // 2 + 1])
    return np.conj(np.stack(columns, axis=1)) / _Q_POINTS


def gradients(image: np.ndarray, cell: int = _CELL) -> np.ndarray:
    """Returns histograms of oriented gradients, [H / cell, W / cell, 8].

    Each pixel counts by the length of its gradient for one of 8 signed orientations (the first
    from 0 to 45 degrees, 0 along the rows). A cell is divided by the length of the histograms of
    the 3 x 3 cells around it, of which the border's are repeated.

    Args:
      image: [H, W], both multiples of `cell`.
      cell: Side of a cell in pixels.
    """
    down, across = np.gradient(image)
    angle = np.arctan2(down, across) % (2.0 * np.pi)
    orientation = (angle / (2.0 * np.pi) * _ORIENTATIONS).astype(int) % _ORIENTATIONS
    rows, columns = (length // cell for length in image.shape)
    place = np.arange(rows).repeat(cell)[:, np.newaxis] * columns + np.arange(columns).repeat(cell)
    counts = np.bincount(
        (place * _ORIENTATIONS + orientation).ravel(),
        weights=np.hypot(down, across).ravel(),
        minlength=rows * columns * _ORIENTATIONS,
    ).reshape(rows, columns, _ORIENTATIONS)
    energy = ndimage.uniform_filter(np.square(counts).sum(axis=2), 3, mode="nearest") * 9.0
    return counts / np.sqrt(np.maximum(energy, 1e-12))[..., np.newaxis]


def wavelet_levels(waveform: np.ndarray, levels: int = _WAVELET_LEVELS) -> np.ndarray:
    """Returns the log of the mean power of each level of the Haar wavelet transform, [levels]."""
    rest, found = np.asarray(waveform, np.float64), []
    for _ in range(levels):
        rest = np.pad(rest, (0, len(rest) % 2), mode="edge")
        first, second = rest[::2], rest[1::2]
        found.append(np.log(np.square(first - second).mean() / 2.0 + _SILENCE))
        rest = (first + second) / np.sqrt(2.0)
    return np.array(found)


def recurrence_measures(recurrent: np.ndarray) -> np.ndarray:
    """Returns measures of recurrence plots, [W, 9].

    The recurrence rate (without the main diagonal); of diagonal lines of two points or more the
    share of all points (determinism), mean and greatest length and entropy of the lengths in nats;
    of vertical lines the share (laminarity), mean length (trapping time), greatest length and
    entropy. A plot without such lines has zeros there.

    Args:
      recurrent: [W, N, N] bool, symmetric, its main diagonal True.
    """
    size = recurrent.shape[1]
    pairs = max(size * (size - 1), 1)
    rate = (recurrent.sum(axis=(1, 2)) - recurrent.trace(axis1=1, axis2=2)) / pairs
    # Lines end where a False stands: one is put after each.
    end = np.zeros((len(recurrent), 1), bool)
    diagonals = [
        part for k in range(1, size) for part in (np.diagonal(recurrent, k, 1, 2), end)
    ] or [end]
    columns = np.pad(np.swapaxes(recurrent, 1, 2), ((0, 0), (0, 0), (0, 1)))
    lines = np.concatenate(diagonals, axis=1), columns.reshape(len(recurrent), -1)
    return np.concatenate([rate[:, np.newaxis], *map(_line_measures, lines)], axis=1)


def _line_measures(points: np.ndarray) -> np.ndarray:
    """Returns share, mean length, greatest length and entropy of the runs in [W, L], [W, 4]."""
    number = len(points)
    change = np.diff(np.pad(points.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    plot, start = np.nonzero(change > 0)
    length = np.nonzero(change < 0)[1] - start
    plot, length = plot[length >= _SHORTEST], length[length >= _SHORTEST]
    counts = np.zeros((number, points.shape[1] + 1))
    np.add.at(counts, (plot, length), 1.0)
    lines = np.maximum(counts.sum(axis=1), 1.0)
    within = counts @ np.arange(counts.shape[1])
    greatest = np.zeros(number)
    np.maximum.at(greatest, plot, length)
    share = counts / lines[:, np.newaxis]
    entropy = -special.xlogy(share, share).sum(axis=1)
    return np.stack(
        [within / np.maximum(points.sum(axis=1), 1), within / lines, greatest, entropy], axis=1
    )


def _frames(waveform: np.ndarray, size: int, step: int) -> np.ndarray:
    """Returns [N, size] every `step` samples, as far as they are whole; a short clip is one."""
    x = np.asarray(waveform, np.float64)
    x = np.pad(x, (0, max(0, size - len(x))))
    return np.lib.stride_tricks.sliding_window_view(x, size)[::step]


def _power(frames: np.ndarray) -> np.ndarray:
    window = signal.window("hann", frames.shape[1])
    return np.square(np.abs(np.fft.rfft(frames * window, _POINTS, axis=1)))


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rg": histogram_of_gradients,
    "ltt": spectral_statistics,
    "rnh": recurrence,
}
