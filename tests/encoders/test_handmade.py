"""Hand-made features: each against numbers that a pencil finds."""

import numpy as np
import pytest

from tfav.encoders import handmade

RATE = 16_000
SIZES = {"rg": 512, "ltt": 44, "rnh": 35}


def _sine(hz, seconds=1.0, phase=0.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE + phase)


def _noise(seconds=1.0):
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE))


@pytest.mark.parametrize(
    "clip", [_noise(5.0), np.zeros(RATE), np.ones(1), _noise(0.02), _sine(440.0, 0.5)]
)
@pytest.mark.parametrize("name", handmade.FEATURES)
def test_every_clip_has_features_of_one_size_and_all_are_finite(name, clip):
    found = handmade.FEATURES[name](clip.astype(np.float32))
    assert found.shape == (SIZES[name],) and np.isfinite(found).all()


# Histograms of gradients -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "down, across, orientation", [(0, 1, 0), (1, 1, 1), (1, 0, 2), (0, -1, 4), (-1, 0, 6)]
)
def test_a_ramp_has_one_orientation_in_every_cell(down, across, orientation):
    image = down * np.arange(32.0)[:, None] + across * np.arange(24.0)
    found = handmade.gradients(image)
    assert found.shape == (4, 3, 8)
    # All cells alike: h / sqrt(9 h^2) = 1/3.
    expected = np.zeros(8)
    expected[orientation] = 1 / 3
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-12)


def test_a_flat_image_has_no_orientation():
    assert not handmade.gradients(np.full((16, 16), 7.0)).any()


def test_a_tone_is_a_quarter_in_its_band_of_the_constant_q_transform():
    power = handmade.constant_q(_sine(1000.0))  # 62.5 * 2 ** (32 / 8)
    middle = power[len(power) // 2]
    assert np.argmax(middle) == 32
    assert middle[32] == pytest.approx(0.25, rel=1e-3)  # |1/2|^2
    assert middle[[28, 36]].max() < 1e-3 * middle[32]  # half an octave away


def test_a_rising_tone_and_a_falling_one_differ_and_their_order_does_not_count():
    time = np.arange(2 * RATE) / RATE
    rising = np.sin(2 * np.pi * 200 * 2.0**time / np.log(2))  # an octave per second, from 200 Hz
    falling = rising[::-1]
    up, down = (handmade.histogram_of_gradients(x) for x in (rising, falling))
    assert np.abs(up - down).max() > 0.1
    twice = handmade.histogram_of_gradients(np.concatenate([falling, rising]))
    again = handmade.histogram_of_gradients(np.concatenate([rising, falling]))
    assert np.abs(twice - again).max() < np.abs(up - down).max()


# Statistics of spectra ---------------------------------------------------------------------------


def test_a_tone_of_half_the_band_has_the_statistics_that_one_can_work_out():
    # 4 kHz: sign changes at every second sample; never zero with that phase.
    found = handmade.spectral_statistics(_sine(4000.0, phase=np.pi / 4))
    loud, centroid, rolled_off, flux, crossings = found[13:18]
    assert loud == pytest.approx(np.log(0.5), abs=1e-6)
    assert centroid == pytest.approx(0.5, abs=1e-3)
    assert rolled_off == pytest.approx(0.5, abs=0.01)
    assert flux == pytest.approx(0.0, abs=1e-6)
    assert crossings == pytest.approx(0.5, abs=2e-3)
    np.testing.assert_allclose(found[18:36], 0.0, atol=1e-4)  # deviations of a steady tone


def test_each_level_of_the_wavelets_holds_what_changes_at_its_pace():
    # 1, -1, 1, -1: all in the first level, (1 - -1)^2 / 2 = 2.
    alternating = np.tile([1.0, -1.0], 8)
    nothing = np.log(1e-10)
    np.testing.assert_allclose(handmade.wavelet_levels(alternating, 2), [np.log(2), nothing])
    # 1, 1, -1, -1: sums are sqrt 2 and -sqrt 2, their difference squared over 2 is 4.
    slower = np.tile([1.0, 1.0, -1.0, -1.0], 4)
    np.testing.assert_allclose(handmade.wavelet_levels(slower, 2), [nothing, np.log(4)])


def test_silence_has_a_zeroth_coefficient_alone():
    found = handmade.mfcc(np.zeros(RATE))
    assert found.shape == (98, 13)  # 1 + (16000 - 400) // 160
    # The orthonormal transform of 40 equal bands: sqrt(40) times one.
    np.testing.assert_allclose(found[:, 0], np.sqrt(40) * np.log(1e-10))
    np.testing.assert_allclose(found[:, 1:], 0.0, atol=1e-12)


# Recurrence --------------------------------------------------------------------------------------


def test_a_full_plot_has_the_lines_that_one_can_count():
    (found,) = handmade.recurrence_measures(np.ones((1, 4, 4), bool))
    # Above the main diagonal lines of 3, 2 and 1 points: 5 of 6 in lines of two or more.
    diagonal = [5 / 6, 2.5, 3, np.log(2)]
    vertical = [1, 4, 4, 0]  # four columns of four
    np.testing.assert_allclose(found, [1, *diagonal, *vertical])


def test_a_plot_of_the_main_diagonal_alone_recurs_nowhere():
    np.testing.assert_array_equal(handmade.recurrence_measures(np.eye(5, dtype=bool)[None]), 0)


def test_plots_are_measured_each_by_itself():
    plots = np.stack([np.eye(4, dtype=bool), np.ones((4, 4), bool)])
    # Points (0, 1), (1, 2) and their mirror images: one diagonal line of two; the columns are
    # 11.., 111., .11. and ...1: 7 of 8 points in three lines.
    short = np.eye(4, dtype=bool) | np.eye(4, k=1, dtype=bool) | np.eye(4, k=-1, dtype=bool)
    short[2, 3] = short[3, 2] = False
    found = handmade.recurrence_measures(np.stack([*plots, short]))
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1], handmade.recurrence_measures(plots[1:])[0])
    rate, *rest = found[2]
    assert rate == 4 / 12
    share = np.array([2, 1]) / 3
    entropy = -np.sum(share * np.log(share))
    np.testing.assert_allclose(rest, [1, 2, 2, 0, 7 / 8, 7 / 3, 3, entropy])


def test_a_steady_sound_recurs_and_noise_less():
    rate = [handmade.recurrence(clip)[26] for clip in (_sine(700.0), np.zeros(RATE), _noise())]
    assert rate[0] == 1.0 and rate[1] == 1.0 and rate[2] < 0.9
