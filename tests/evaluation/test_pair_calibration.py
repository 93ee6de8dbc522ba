"""What is fitted on one split and told of another, and how it is stored."""

import json

import numpy as np
import pytest

from tfav.evaluation import (
    decisions,
    pair_calibration,
    pair_errors,
    temperature_scaling,
    thresholds,
)
from tfav.evaluation import result as results

SPACE = "0123456789abcdef"


def drawn(split, seed, shift=0.5, num_identities=20, of_each=10):
    random = np.random.default_rng(seed)
    size = num_identities * of_each * 10
    identity = np.arange(size) % num_identities
    label = np.arange(size) // num_identities % 10 == 0
    score = np.round(random.normal(size=size) * 0.2 + shift * label, 6)
    return thresholds.Trials(split, score, label, identity)


def evaluate(fitted, evaluated, **options):
    given = {"score": decisions.COSINE, "tag": "test", "resampled": "the probes' identities"}
    given |= {"about": {"embedding_space": SPACE}, "num_bootstrap": 50}
    return pair_calibration.evaluate(fitted, evaluated, **{**given, **options})


def record(found):
    return found[0].details[pair_calibration.DECISIONS]


VAL, TEST = drawn("val", 0), drawn("test", 1)


def test_the_evaluated_split_changes_no_threshold_and_no_calibration():
    one, other = (record(evaluate(VAL, t)) for t in (TEST, drawn("test", 2, shift=-0.3)))
    assert one["calibration"] == other["calibration"]
    for name in one["thresholds"]:
        mine, theirs = (x["thresholds"][name] for x in (one, other))
        assert (mine["threshold"], mine["interval"]) == (theirs["threshold"], theirs["interval"])
        assert mine["far"] != theirs["far"] or mine["frr"] != theirs["frr"]
    changed = record(evaluate(drawn("val", 5, shift=0.4), TEST))
    assert changed["calibration"] != one["calibration"]


def test_the_figures_are_the_errors_on_the_evaluated_split():
    found = evaluate(VAL, TEST)
    stored = record(found)
    assert list(stored["thresholds"]) == ["eer", "far_0.1", "far_0.01"]
    # 1800 wrong pairs: 0.1 % are 1.8.
    assert "1,800 wrong pairs of val are 1.8" in stored["left_out"]["far_0.001"]
    assert any("no 0.1 % FAR threshold: 0.1 % of the" in note for note in found[0].notes)
    by = {(r.metric.key, r.direction): r for r in found}
    for name, called in (("eer", "EER"), ("far_0.1", "10 % FAR"), ("far_0.01", "1 % FAR")):
        its = stored["thresholds"][name]
        accepted = TEST.score >= its["threshold"]
        far, frr = (by[key, f"{called} threshold"] for key in ("far", "frr"))
        assert far.value == its["far"] == accepted[~TEST.label].mean()
        assert frr.value == its["frr"] == (~accepted[TEST.label]).mean()
        assert far.threshold == frr.threshold == its["threshold"]
        assert [far.low, far.high] == its["far_interval"] and far.low <= far.value <= far.high
        assert (far.num_trials, frr.num_trials, far.num_identities) == (1800, 200, 20)
    ece = by["pair_ece", "all pairs"]
    bins = ece.details[pair_calibration.RELIABILITY]
    gaps = np.abs(np.array(bins["probability"]) - bins["right"]) @ np.array(bins["weight"])
    assert ece.value == pytest.approx(gaps) and sum(bins["count"]) == len(TEST.label)
    # Both splits are drawn alike: what was fitted on one holds on the other.
    assert ece.value < 0.03 and stored["thresholds"]["far_0.1"]["far"] == pytest.approx(
        0.1, abs=0.03
    )


def test_a_record_says_what_it_was_measured_on_and_survives_json():
    found = evaluate(VAL, TEST, seed=3)
    again = results.from_json(json.loads(json.dumps(found[0].to_json())), {})
    stored = again.details["decisions"]
    assert stored == record(found)
    on = stored["measured_on"]
    counts = {"num_trials": 2000, "num_right": 200, "num_wrong": 1800, "num_identities": 20}
    assert on["fitted"] == {"split": "val", **counts}
    assert on["evaluated"] == {"split": "test", **counts} and on["seed"] == 3
    its = decisions.read(stored, SPACE)
    assert its.threshold == stored["thresholds"]["eer"]["threshold"]
    low, high = its.probability([its.threshold - 0.3, its.threshold + 0.3])
    assert low < 0.1 and high > 0.9 and its.without == ""
    assert its.matched([its.threshold, its.threshold - 1e-3]).tolist() == [True, False]


def test_without_a_split_to_fit_on_only_the_eer_is_told_and_why():
    found = evaluate(None, TEST, why_not_fitted="the data has no split val")
    assert [r.metric.key for r in found] == ["pair_eer"]
    stored = record(found)
    assert stored["calibration"] is None and stored["thresholds"] == {}
    assert stored["shipped"] is None and stored["measured_on"]["fitted"] is None
    assert set(stored["left_out"]) == {*thresholds.POINTS, "calibration"}
    its = decisions.read(stored, SPACE)
    assert its.without == "the data has no split val"
    assert its.probability([0.5]) is None and its.matched([0.5]) is None


@pytest.mark.parametrize(
    ("fitted", "why"),
    [
        (drawn("val", 0, num_identities=2, of_each=2), "val has 4 right and 36 wrong pairs"),
        (drawn("val", 0, shift=-0.5), "right pairs of val score no higher than wrong ones"),
        (VAL._replace(score=np.full(2000, 0.25)), "all pairs of val have one score"),
    ],
)
def test_a_calibration_that_would_mean_nothing_is_left_out_with_its_reason(fitted, why):
    found = evaluate(fitted, TEST)
    assert record(found)["calibration"] is None
    assert why in record(found)["left_out"]["calibration"]
    assert any(f"test: no calibration: {why}" in note for note in found[0].notes)
    assert all(r.metric.key != "pair_ece" for r in found)


def test_groups_have_their_errors_at_the_shipped_threshold_where_they_are_enough():
    few = np.zeros(2000, bool)
    few[np.flatnonzero(TEST.label)[:12]] = True
    few[np.flatnonzero(~TEST.label)[:3]] = True
    half = TEST.identity < 10
    groups = [pair_errors.Group("gender", "f", half), pair_errors.Group("accent", "x", few)]
    found = evaluate(VAL, TEST, groups=groups)
    mine = [r for r in found if r.direction == "gender f"]
    threshold = record(found)["thresholds"]["eer"]["threshold"]
    accepted = TEST.score >= threshold
    assert [r.value for r in mine] == [
        accepted[half & ~TEST.label].mean(),
        (~accepted[half & TEST.label]).mean(),
    ]
    assert {r.stratum for r in mine} == {"gender=f"}
    assert [(r.num_trials, r.num_identities) for r in mine] == [(900, 10), (100, 10)]
    assert [r.metric.key for r in found if r.direction == "accent x"] == ["frr"]
    note = "test: accent x has 12 right and 3 wrong pairs; a rate is told from 10 on."
    assert note in found[0].notes


def test_what_a_recipe_was_taught_is_what_is_shipped():
    stored = record(evaluate(VAL, TEST, taught=0.0, score=decisions.SCORE))
    assert stored["shipped"] == "taught" and stored["score"] == "score"
    assert stored["thresholds"]["taught"]["far"] == (TEST.score[~TEST.label] >= 0).mean()
    assert decisions.read(stored, SPACE).threshold == 0.0
    alone = record(evaluate(None, TEST, taught=0.0, why_not_fitted="there is none"))
    assert list(alone["thresholds"]) == ["taught"]


def test_figures_of_another_space_or_cut_short_are_not_read():
    stored = record(evaluate(VAL, TEST))
    with pytest.raises(ValueError, match="thresholds are of the embedding space 0123456789abcdef"):
        decisions.read(stored, "fedcba9876543210")
    for key in ("score", "thresholds", "calibration", "measured_on"):
        with pytest.raises(ValueError, match="not whole"):
            decisions.read({k: v for k, v in stored.items() if k != key}, SPACE)
    broken = {**stored, "calibration": {"slope": float("nan"), "intercept": 0.0}}
    with pytest.raises(ValueError, match="no finite numbers"):
        decisions.read(broken, SPACE)


def test_the_temperature_of_two_classes_is_the_one_by_hand():
    # All rows have logits (2, 0), and three of four are of the first class: softmax is to be 3/4,
    # so 2 / T = ln 3.
    logits, label = np.tile([2.0, 0.0], (4, 1)), np.array([0, 0, 0, 1])
    assert temperature_scaling.fit(logits, label) == pytest.approx(2 / np.log(3), rel=1e-6)
    # The other split: one of two right, said with 3/4 as well.
    found = temperature_scaling.evaluate(
        (logits, label), (logits[:2], np.array([0, 1])), tag="test", protocol="calibration"
    )
    error, value = found
    assert value.value == pytest.approx(2 / np.log(3), rel=1e-6) and value.num_trials == 4
    assert error.value == pytest.approx(0.25, abs=1e-6) and error.num_trials == 2


def test_the_temperature_stays_in_bounds_where_all_rows_are_right():
    logits = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert temperature_scaling.fit(logits, np.array([0, 1])) == pytest.approx(1 / 20, rel=1e-3)
