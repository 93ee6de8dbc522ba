"""Noise of a known power, and figures of the same pairs under each condition."""

import numpy as np
import pytest

from tfav.evaluation import listening_conditions, thresholds
from tfav.evaluation.listening_conditions import Condition
from tfav.reports import condition_curves


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_the_noise_is_as_far_below_the_clip_as_it_says(snr_db):
    clip = (0.05 * np.sin(np.arange(4000) / 3)).astype(np.float32)
    noise = listening_conditions.noisy(clip, snr_db, 1) - clip
    powers = [np.mean(np.square(x, dtype=np.float64)) for x in (clip, noise)]
    assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(snr_db, abs=1e-3)


def test_a_sum_beyond_full_scale_is_made_quieter_and_not_clipped():
    clip = (0.9 * np.sin(np.arange(4000) / 3)).astype(np.float32)
    found = listening_conditions.noisy(clip, -5.0, 1)
    assert np.abs(found).max() == pytest.approx(1.0)
    assert np.count_nonzero(np.abs(found) > 0.999) == 1
    quiet = listening_conditions.noisy(clip / 100, -5.0, 1)
    ratio = found / quiet
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)  # the same sum, scaled


def test_the_seed_decides_the_noise():
    clip = np.full(100, 0.1, np.float32)
    one, same, other = (listening_conditions.noisy(clip, 10.0, seed) for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any()


def trials(score):
    label = np.array([1, 0, 0, 1, 1, 0], bool)
    return thresholds.Trials("test", np.array(score), label, np.array([0, 0, 0, 1, 1, 1]))


def test_figures_of_six_pairs_are_those_by_hand():
    found = listening_conditions.evaluate(
        {
            Condition(seconds=1.0): trials([0.9, 0.1, 0.2, 0.8, 0.7, 0.3]),
            # Of nine right-wrong pairs, 0.9 wins three, 0.2 one (0.1), 0.8 three: seven of nine.
            Condition(): trials([0.9, 0.1, 0.5, 0.2, 0.8, 0.3]),
        },
        tag="test",
        resampled="the identities of the audio items",
        num_bootstrap=30,
    )
    by = {(r.direction, r.metric.key): r for r in found}
    assert by["first 1 s", "condition_auc"].value == 1.0
    assert by["clips as they are", "condition_auc"].value == pytest.approx(7 / 9)
    right, wrong = (by["first 1 s", f"similarity_{kind}"] for kind in ("right", "wrong"))
    assert right.value == pytest.approx(0.8) and wrong.value == pytest.approx(0.2)
    assert (right.num_trials, wrong.num_trials) == (3, 3)
    assert right.details == {"seconds": 1.0} and right.low <= 0.8 <= right.high


def test_curves_have_a_point_for_each_condition_in_order():
    order = [Condition(snr_db=x) for x in (20.0, 0.0, 10.0)] + [Condition(seconds=1.0)]
    found = listening_conditions.evaluate(
        {one: trials([0.9, 0.1, 0.5, 0.2, 0.8, 0.3]) for one in order}, tag="test", resampled="x"
    )
    charts = condition_curves.charts(found)
    assert list(charts) == ["noise"]  # one length alone is no curve
    chart = charts["noise"]
    assert list(chart.ticks) == [0.0, 10.0, 20.0]
    assert [c.label for c in chart.curves] == ["AUC of all pairs", "EER of all pairs", "chance"]
    assert chart.curves[0].y == pytest.approx([700 / 9] * 3) and chart.curves[0].band is not None
    assert chart.table()[0][0] == "0"
