"""Matched against mismatched pairs, by hand."""

import numpy as np
import pytest

from tfav import registry
from tfav.evaluation import correspondence


def test_the_matched_pair_is_the_diagonal_and_a_mismatch_never_is():
    score = np.arange(16.0).reshape(4, 4)
    matched, mismatched = correspondence.draw(score, None, seed=0)
    np.testing.assert_array_equal(matched, [0, 5, 10, 15])
    for row, drawn in enumerate(mismatched):  # three others: all of them
        np.testing.assert_array_equal(np.sort(drawn), np.delete(score[row], row))


def test_mismatches_of_another_label_only():
    score = np.arange(16.0).reshape(4, 4)
    _, mismatched = correspondence.draw(score, ["a", "a", "b", "b"], seed=0)
    assert [sorted(row) for row in mismatched] == [[2, 3], [6, 7], [8, 9], [12, 13]]


def test_ten_mismatches_at_most_and_the_same_ones_for_the_same_seed():
    score = np.random.default_rng(0).normal(size=(30, 30))
    first, again = (correspondence.draw(score, None, seed=3)[1] for _ in range(2))
    assert first.shape == (30, 10)
    np.testing.assert_array_equal(first, again)
    assert (first != correspondence.draw(score, None, seed=4)[1]).any()


def test_area_by_hand():
    # pairs won: 3 > 1, 3 > 2, 2 > 1, and the tie 2 = 2 counts half: 3.5 of 4
    value = correspondence.auc(np.array([3.0, 2.0]), np.array([[1.0], [2.0]]))
    assert value == pytest.approx(3.5 / 4)


def test_results_say_both_kinds_of_mismatch():
    # Sound and picture agree on the label alone: other rows of the label fit as well.
    label = np.array(["a", "b"] * 10)
    score = (label[:, None] == label).astype(float)
    free, other = correspondence.evaluate(score, label, tag="test", num_bootstrap=20, seed=0)
    assert (free.direction, other.direction) == ("any other picture", "other label")
    assert other.value == 1.0 and 0.5 < free.value < 1.0
    assert free.low <= free.value <= free.high
    (alone,) = correspondence.evaluate(score, ["a"] * 20, tag="test", num_bootstrap=0, seed=0)
    assert alone.low is None


def test_one_row_has_no_mismatch():
    with pytest.raises(registry.UserError, match="two labels or more"):
        correspondence.draw(np.zeros((1, 1)), None, 0)


def test_a_score_that_is_no_number_is_named():
    with pytest.raises(registry.UserError, match="NaN"):
        correspondence.draw(np.full((2, 2), np.nan), None, 0)
