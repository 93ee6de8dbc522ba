"""Calibration against its closed form, by hand; reliability of eight pairs."""

import math

import numpy as np
import pytest
from scipy import optimize

from tfav.evaluation import decisions, logistic

LOW, HIGH = [0.0] * 4, [1.0] * 4


def test_of_two_scores_the_calibration_is_the_share_of_each_by_hand():
    # Four right and four wrong pairs: the targets are 5/6 and 1/6. At score 0 one of four is right:
    # (5/6 + 3/6) / 4 = 1/3; at score 1 three are: 2/3. ln(1/2) = -ln 2, and ln 2 - (-ln 2).
    label = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    slope, intercept = logistic.fit([*LOW, *HIGH], label)
    assert slope == pytest.approx(2 * math.log(2), abs=1e-9)
    assert intercept == pytest.approx(-math.log(2), abs=1e-9)
    assert decisions.logistic([0.0, 1.0], slope, intercept) == pytest.approx([1 / 3, 2 / 3])


def test_scores_that_are_told_apart_have_a_finite_calibration():
    # All wrong below all right: 1/6 and 5/6, whose log-odds are -ln 5 and ln 5.
    label = np.array([0] * 4 + [1] * 4, bool)
    slope, intercept = logistic.fit([*LOW, *HIGH], label)
    assert slope == pytest.approx(2 * math.log(5), abs=1e-9)
    assert intercept == pytest.approx(-math.log(5), abs=1e-9)
    many = logistic.fit(np.repeat([0.0, 1e-6], 50_000), np.repeat([False, True], 50_000))
    assert np.isfinite(many).all()


def test_how_many_wrong_pairs_there_are_does_not_change_what_is_likely():
    random = np.random.default_rng(0)
    right, wrong = random.normal(0.5, 0.2, 20_000), random.normal(0.0, 0.2, 20_000)
    even = logistic.fit(np.concatenate([right, wrong]), np.arange(40_000) < 20_000)
    few = logistic.fit(np.concatenate([right[:2_000], wrong]), np.arange(22_000) < 2_000)
    # Of normal scores of equal spread the log-odds are straight: (0.5 / 0.2^2) (s - 0.25).
    assert even == pytest.approx((12.5, -3.125), rel=0.05)
    assert few == pytest.approx(even, rel=0.1)


def test_the_fit_is_where_a_general_minimiser_ends():
    random = np.random.default_rng(1)
    score = random.normal(size=300)
    label = random.random(300) < 1 / (1 + np.exp(-2 * score - 0.5))
    right = label.sum()
    target = np.where(label, (right + 1) / (right + 2), 1 / (300 - right + 2))
    weight = np.where(label, 0.5 / right, 0.5 / (300 - right))

    def loss(at):
        z = at[0] * score + at[1]
        return weight @ (np.logaddexp(0, z) - target * z)

    expected = optimize.minimize(loss, [0, 0], tol=1e-12).x
    assert logistic.fit(score, label) == pytest.approx(expected, abs=1e-5)


def test_a_score_far_from_nought_and_of_little_spread_is_fitted_as_well():
    label = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    slope, intercept = logistic.fit(1e3 + 1e-3 * np.array([*LOW, *HIGH]), label)
    assert slope * 1e-3 == pytest.approx(2 * math.log(2), rel=1e-6)
    assert slope * 1e3 + intercept == pytest.approx(-math.log(2), rel=1e-3)


@pytest.mark.parametrize(
    ("score", "label", "words"),
    [
        ([0.0, 1.0], [True, True], "one kind"),
        ([0.5, 0.5], [True, False], "all equal"),
        ([np.nan, 0.5], [True, False], "not finite"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(score, label, words):
    with pytest.raises(ValueError, match=words):
        logistic.fit(score, label)


def test_the_reliability_of_eight_pairs_is_the_one_by_hand():
    # At 0.15 one of four is right, at 0.85 three: gaps of 0.1 each, of half the weight each.
    label = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    found = logistic.reliability([0.15] * 4 + [0.85] * 4, label)
    assert found.edges.tolist() == [[0.1, 0.2], [0.8, 0.9]]
    assert found.count.tolist() == [4, 4]
    assert found.weight == pytest.approx([0.5, 0.5])
    assert found.probability == pytest.approx([0.15, 0.85])
    assert found.right == pytest.approx([0.25, 0.75])
    assert found.error == pytest.approx(0.1)


def test_right_and_wrong_pairs_weigh_the_same_in_all():
    # One right pair weighs 0.5, ten wrong ones 0.05 each: both bins hold half of either.
    label = np.array([1, *[0] * 10], bool)
    found = logistic.reliability([0.75, *[0.75] * 5, *[0.25] * 5], label)
    assert found.weight == pytest.approx([0.25, 0.75])
    assert found.right == pytest.approx([0.0, 2 / 3])
    assert found.error == pytest.approx(0.25 * 0.25 + 0.75 * (0.75 - 2 / 3))


def test_a_probability_of_nought_and_of_one_have_a_bin():
    found = logistic.reliability([0.0, 1.0, 0.1], np.array([0, 1, 0], bool))
    assert found.edges.tolist() == [[0.0, 0.1], [0.9, 1.0]]
    assert found.count.tolist() == [2, 1]
