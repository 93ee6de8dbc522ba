"""Thresholds of ten scores by hand, their intervals by the loop that their definition is."""

import numpy as np
import pytest

from tfav.evaluation import bootstrap, thresholds

RIGHT = [0.9, 0.8, 0.7, 0.5, 0.3]
WRONG = [0.6, 0.4, 0.2, 0.1, 0.0]


def trials(right=RIGHT, wrong=WRONG, identity=None, split="val"):
    score = np.array([*right, *wrong])
    label = np.arange(len(score)) < len(right)
    identity = np.zeros(len(score), int) if identity is None else np.asarray(identity)
    return thresholds.Trials(split, score, label, identity)


@pytest.mark.parametrize(
    ("far", "expected"),
    [
        (0.1, 0.7),  # no wrong pair may be accepted, of which 0.6 scores highest
        (0.2, 0.5),  # one may: 0.6; 0.4 may not
        (0.4, 0.3),  # two: 0.6 and 0.4
        (0.5, 0.3),  # two and a half is two
        (0.999, 0.1),  # four of five: all but the last
    ],
)
def test_the_threshold_at_a_share_of_ten_scores_is_the_one_by_hand(far, expected):
    its = trials()
    assert thresholds.at_far(its.score, its.label, far) == expected
    accepted = its.score[~its.label] >= expected
    assert accepted.mean() <= far


def test_the_threshold_of_equal_errors_of_ten_scores_is_the_one_by_hand():
    # From 0.5 on, one of five right pairs is refused (0.3) and one wrong one accepted (0.6).
    found, left_out = thresholds.find(trials(), 0, 0)
    assert found == {"eer": thresholds.Threshold(0.5, None, None)}
    assert left_out["far_0.1"] == "10 % of the 5 wrong pairs of val are 0.5, and 10 are needed"
    assert set(left_out) == {"far_0.1", "far_0.01", "far_0.001"}


def test_a_threshold_is_told_from_ten_errors_on():
    wrong = np.arange(100) / 1000  # 10 % are 10
    found, left_out = thresholds.find(trials(wrong=wrong), 0, 0)
    # Ten may be accepted, 0.099 to 0.090, of which the lowest is the threshold.
    assert found["far_0.1"].value == 0.09 and set(found) == {"eer", "far_0.1"}
    found, left_out = thresholds.find(trials(wrong=wrong[1:]), 0, 0)
    assert "9.9, and 10 are needed" in left_out["far_0.1"] and set(found) == {"eer"}


def test_no_threshold_keeps_to_a_share_where_wrong_pairs_tie_at_the_top():
    its = trials(right=[0.5], wrong=[0.5] * 200)
    found, left_out = thresholds.find(its, 0, 0)
    assert found["eer"].value == 0.5
    expected = "more than 10 % of the wrong pairs of val tie at the highest score"
    assert left_out["far_0.1"] == expected
    above = trials(right=[0.5, 0.9], wrong=[0.5] * 200)
    assert thresholds.find(above, 0, 0)[0]["far_0.1"].value == 0.9


def drawn_scores(random, num_identities=6, size=300):
    identity = np.concatenate([np.arange(num_identities), random.integers(0, num_identities, size)])
    label = random.random(len(identity)) < 0.3
    score = np.round(random.normal(size=len(identity)) * 0.3 + 0.4 * label, 1)  # many ties
    return thresholds.Trials("val", score, label, identity)


@pytest.mark.parametrize("far", [0.1, 0.37, None])
def test_every_replicate_is_the_threshold_of_the_pairs_as_often_as_they_are_drawn(far):
    its = drawn_scores(np.random.default_rng(3))
    found = thresholds.replicates(its, far, 40, 7)
    assert len(found) == 40
    for value, drawn in zip(found, bootstrap.resample(6, 40, 7)):
        weight = drawn[its.identity]
        right, wrong = weight * its.label, weight * ~its.label
        rates = {
            t: (wrong[its.score >= t].sum() / wrong.sum(), right[its.score < t].sum() / right.sum())
            for t in np.unique(its.score)
        }
        if far is None:
            expected = max(t for t, (of_wrong, of_right) in rates.items() if of_right <= of_wrong)
        else:
            keeping = [t for t, (of_wrong, _) in rates.items() if of_wrong <= far]
            expected = min(keeping, default=np.nan)
        np.testing.assert_equal(value, expected)


def test_a_resample_without_a_pair_of_a_kind_has_no_threshold():
    its = thresholds.Trials(
        "val", np.array([0.9, 0.1, 0.8, 0.2]), np.array([1, 1, 0, 0], bool), np.array([0, 0, 1, 1])
    )
    for far in (None, 0.1):
        found = thresholds.replicates(its, far, 50, 0)
        drawn = bootstrap.resample(2, 50, 0)
        without = drawn[:, 1] == 0 if far else (drawn == 0).any(axis=1)
        assert without.any() and (~without).any()
        assert np.isnan(found[without]).all()


def test_rates_count_the_errors_of_either_kind_and_of_some_pairs_alone():
    its = trials(identity=[0, 0, 1, 1, 2, 0, 0, 1, 1, 2])
    rates = thresholds.rates(its, 0.4, 100, 0)
    assert (rates.far, rates.frr) == (2 / 5, 1 / 5)  # 0.6 and 0.4 accepted, 0.3 refused
    assert len(rates.far_replicates) == len(rates.frr_replicates) == 100
    # A resample of identities 0, 1, 2 drawn a, b, c times: (2a + 0b + 0c) / (2a + 2b + c).
    a, b, c = bootstrap.resample(3, 100, 0).T
    np.testing.assert_allclose(rates.far_replicates, 2 * a / (2 * a + 2 * b + c))
    some = np.array([1, 1, 0, 0, 1, 0, 0, 0, 0, 0], bool)
    alone = thresholds.rates(its, 0.4, 10, 0, some)
    assert alone.far is None and alone.frr == 1 / 3 and len(alone.far_replicates) == 0


def test_trials_say_how_many_they_are_and_what_they_lack():
    its = trials(identity=[0, 0, 1, 1, 2, 0, 0, 1, 1, 2])
    expected = {"num_trials": 10, "num_right": 5, "num_wrong": 5, "num_identities": 3}
    assert its.facts() == {"split": "val", **expected}
    assert its.lacks() == "val has 5 right and 5 wrong pairs, and 10 of each are needed"
    assert trials(RIGHT * 2, WRONG * 2).lacks() == ""
