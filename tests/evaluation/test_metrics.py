"""The figures of merit against arithmetic by hand and naive loops."""

import numpy as np
import pytest

from tfav.evaluation import metrics

FIGURES = [metrics.min_dcf, metrics.roc_auc, metrics.equal_error_rate]


def naive_auc(score, label):
    right = [s for s, y in zip(score, label) if y]
    wrong = [s for s, y in zip(score, label) if not y]
    won = sum((r > w) + 0.5 * (r == w) for r in right for w in wrong)
    return won / (len(right) * len(wrong))


def naive_equal_error_rate(score, label):
    points = [(0.0, 1.0)]  # false positive rate, false negative rate
    for threshold in sorted(set(score), reverse=True):
        accepted = [(y, s >= threshold) for s, y in zip(score, label)]
        false_positive = sum(a for y, a in accepted if not y) / sum(not y for y, _ in accepted)
        false_negative = sum(not a for y, a in accepted if y) / sum(y for y, _ in accepted)
        points.append((false_positive, false_negative))
    for (p0, n0), (p1, n1) in zip(points, points[1:]):
        if n0 > p0 and n1 <= p1:
            # p0 + t (p1 - p0) = n0 + t (n1 - n0)
            t = (n0 - p0) / ((p1 - p0) - (n1 - n0))
            return p0 + t * (p1 - p0)
    raise AssertionError("the curve ends at (1, 0)")


@pytest.mark.parametrize(
    ("score", "label", "expected"),
    [
        # Spec section 5, worked number 4.
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.5),
        ([0.1, 0.2, 0.3, 0.6, 0.7, 0.8], [0, 0, 1, 0, 1, 1], 1 / 3),
        ([0.1, 0.2, 0.7, 0.8], [0, 0, 1, 1], 0.0),
        # Points (FPR, FNR): (0, 1), (0, 1/2) at 3, (1, 0) at 2. Crossing: t = 1/2 - t/2, t = 1/3.
        ([3, 2, 2, 2], [1, 1, 0, 0], 1 / 3),
    ],
)
def test_equal_error_rate_of_the_worked_scores(score, label, expected):
    assert metrics.equal_error_rate(score, label) == pytest.approx(expected, abs=1e-12)


def test_auc_counts_won_pairs_and_half_of_the_ties():
    # Right 0.35, 0.8 against wrong 0.1, 0.35: 1 + 1/2 + 1 + 1 = 3.5 of 4 pairs.
    assert metrics.roc_auc([0.1, 0.35, 0.35, 0.8], [0, 0, 1, 1]) == 3.5 / 4


def test_scores_that_are_all_equal_are_chance_and_never_luck():
    label = [1, 0, 0, 0]
    assert metrics.roc_auc(np.zeros(4), label) == 0.5
    assert metrics.equal_error_rate(np.zeros(4), label) == 0.5


@pytest.mark.parametrize("levels", [3, 10, 1000])
def test_the_figures_equal_their_naive_loops_with_and_without_ties(levels):
    rng = np.random.default_rng(levels)
    for _ in range(20):
        score = rng.integers(levels, size=40) / levels
        label = rng.random(40) < 0.3
        label[:2] = True, False
        pairs = [
            (metrics.roc_auc, naive_auc),
            (metrics.equal_error_rate, naive_equal_error_rate),
        ]
        for fast, naive in pairs:
            expected = naive(score.tolist(), label.tolist())
            assert fast(score, label) == pytest.approx(expected, abs=1e-12)


def test_auc_is_the_trapezoid_under_the_roc_curve():
    rng = np.random.default_rng(0)
    score, label = rng.integers(20, size=200), rng.random(200) < 0.4
    false_positive_rate, true_positive_rate, threshold = metrics.roc_curve(score, label)
    width = np.diff(false_positive_rate)
    height = (true_positive_rate[1:] + true_positive_rate[:-1]) / 2
    assert metrics.roc_auc(score, label) == pytest.approx(float(width @ height), abs=1e-12)
    assert (false_positive_rate[0], true_positive_rate[0], threshold[0]) == (0, 0, np.inf)
    assert (false_positive_rate[-1], true_positive_rate[-1]) == (1, 1)
    assert len(threshold) == 1 + len(set(score.tolist()))


@pytest.mark.parametrize(
    ("p_target", "expected"),
    [
        # Of scores 4 3 2 1 0 with labels 1 1 0 1 0: (FNR, FPR) is (1, 0), (2/3, 0), (1/3, 0),
        # (1/3, 1/2), (0, 1/2), (0, 1).
        (0.01, 1 / 3),  # (0.01 / 3 + 0) / 0.01; to accept the fourth costs 0.99 / 2 / 0.01 = 49.5
        (0.9, 0.5),  # 0.1 * 1/2 / 0.1 at (0, 1/2); at (1/3, 0) it is 0.9 / 3 / 0.1 = 3
    ],
)
def test_min_dcf_by_hand(p_target, expected):
    found = metrics.min_dcf([4, 3, 2, 1, 0], [1, 1, 0, 1, 0], p_target)
    assert found == pytest.approx(expected, abs=1e-12)


def test_min_dcf_is_the_released_codes_formula_and_rejecting_all_costs_one():
    rng = np.random.default_rng(2)
    label = rng.random(200) < 0.4
    score = rng.normal(size=200) + label
    costs = [
        100 * (0.01 * np.mean(score[label] < t) + 0.99 * np.mean(score[~label] >= t))
        for t in [*score, np.inf]
    ]
    assert metrics.min_dcf(score, label) == pytest.approx(min(costs), abs=1e-12)
    assert metrics.min_dcf([1, 2], [1, 0]) == 1.0 and metrics.min_dcf([2, 1], [1, 0]) == 0.0
    with pytest.raises(ValueError, match="p_target"):
        metrics.min_dcf([2, 1], [1, 0], 0.0)


def test_the_roc_curve_moves_through_a_tie_in_one_step():
    # At 2: one of two right, none of two wrong; at 1: the other right and both wrong together.
    false_positive_rate, true_positive_rate, threshold = metrics.roc_curve(
        [2, 1, 1, 1], [1, 1, 0, 0]
    )
    np.testing.assert_array_equal(false_positive_rate, [0, 0, 1])
    np.testing.assert_array_equal(true_positive_rate, [0, 0.5, 1])
    np.testing.assert_array_equal(threshold, [np.inf, 2, 1])


@pytest.mark.parametrize("levels", [2, 30, 10**6])
def test_the_roc_curve_is_that_of_scikit_learn(levels):
    from sklearn import metrics as sklearn_metrics

    rng = np.random.default_rng(levels)
    score, label = rng.integers(levels, size=300) / levels, rng.random(300) < 0.4
    expected = sklearn_metrics.roc_curve(label, score, drop_intermediate=False)
    for found, values in zip(metrics.roc_curve(score, label), expected):
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_monotone_change_of_the_scores_changes_nothing(figure):
    rng = np.random.default_rng(1)
    score, label = rng.normal(size=60), rng.random(60) < 0.5
    assert figure(score, label) == pytest.approx(figure(np.exp(3 * score), label), abs=1e-15)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("label", [[1, 1, 1], [0, 0, 0]])
def test_one_class_only_is_refused(figure, label):
    with pytest.raises(ValueError, match="one class"):
        figure([0.1, 0.2, 0.3], label)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_nan_score_is_refused_rather_than_ranked(figure):
    with pytest.raises(ValueError, match="1 of 3 scores are NaN"):
        figure([0.1, np.nan, 0.3], [1, 0, 1])


@pytest.mark.parametrize("figure", FIGURES)
def test_labels_other_than_0_and_1_and_unequal_lengths_are_refused(figure):
    with pytest.raises(ValueError, match="0 or 1"):
        figure([0.1, 0.2, 0.3], [1, 2, 1])
    with pytest.raises(ValueError, match=r"\[T\]"):
        figure([0.1, 0.2, 0.3], [1, 0])


@pytest.mark.parametrize("figure", FIGURES)
def test_float_labels_and_float32_scores_serve(figure):
    assert 0 <= figure(np.float32([0.3, 0.2, 0.1]), np.float32([1, 0, 1])) <= 1
