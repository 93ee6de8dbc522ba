"""Accuracy, calibration and NLL by hand; missing modalities; what is refused."""

import json

import numpy as np
import pytest

from tfav import registry
from tfav.evaluation import classification
from tfav.reports import classification_plots, drawing

NAMES = ["cat", "dog", "owl"]
PNG = b"\x89PNG"
# Probabilities of four rows; the logits are their logarithms.
PROBABILITY = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25]])
LABEL = np.array([0, 1, 2, 0])


def evaluate(logits=None, label=LABEL, **options):
    logits = {"fused": np.log(PROBABILITY)} if logits is None else logits
    return classification.evaluate(logits, label, class_names=NAMES, **options)


def pick(results, key="value"):
    return {(r.metric.key, r.direction): getattr(r, key) for r in results}


def test_every_figure_by_hand():
    results = evaluate()
    value, chance = pick(results), pick(results, "chance")
    assert value["accuracy", "fused"] == 0.75  # the third row is taken for a dog
    # -ln of 0.7, 0.8, 0.25, 0.5: 0.35667 + 0.22314 + 1.38629 + 0.69315 = 2.65926, a quarter.
    assert value["nll", "fused"] == pytest.approx(0.664815, abs=1e-6)
    # Bins of 1/15: 0.7 in (10/15, 11/15], 0.8 in (11/15, 12/15], both 0.5 in (7/15, 8/15]. Gaps:
    # |0.7 - 1| + |0.8 - 1| + |(0.5 - 0) + (0.5 - 1)| = 0.3 + 0.2 + 0 of four rows.
    assert value["ece", "fused"] == pytest.approx(0.5 / 4, abs=1e-12)
    # Two of four rows are cats. Entropy of (1/2, 1/4, 1/4): ln 2 / 2 + ln 4 / 2.
    assert chance["accuracy", "fused"] == 0.5 and chance["ece", "fused"] is None
    assert chance["nll", "fused"] == pytest.approx(1.5 * np.log(2), abs=1e-12)
    assert {r.num_trials for r in results} == {4}
    # Cats: both found, F1 = 1. Dogs: 2 / (2 + 1), one owl is taken for one. Owls: none found, 0.
    assert value["macro_f1", "fused"] == pytest.approx((1 + 2 / 3 + 0) / 3, abs=1e-12)
    # Always cat: precision 1/2, recall 1, F1 = 2/3 of three classes.
    assert chance["macro_f1", "fused"] == pytest.approx(2 / 9, abs=1e-12)


def test_a_class_without_rows_does_not_count_in_macro_f1():
    logits = np.eye(3)[[0, 0, 1, 2]]  # one cat is taken for an owl, which no row is
    assert classification.macro_f1(logits, np.array([0, 0, 1, 0])) == pytest.approx((0.8 + 1) / 2)


def test_figures_do_not_depend_on_a_constant_added_and_are_finite_at_any_size():
    logits = np.log(PROBABILITY)
    assert classification.negative_log_likelihood(logits + 7.0, LABEL) == pytest.approx(
        classification.negative_log_likelihood(logits, LABEL), abs=1e-12
    )
    huge = 1e4 * np.eye(3)[[1, 1, 2, 0]]
    assert classification.negative_log_likelihood(huge, LABEL) == pytest.approx(1e4 / 4)
    assert classification.expected_calibration_error(huge, LABEL) == pytest.approx(1 / 4)
    results = evaluate({"fused": huge.astype(np.float32)})
    json.dumps([r.to_json() for r in results], allow_nan=False)


def test_logits_that_are_all_alike_reach_nothing_whatever_the_class():
    flat = np.zeros((4, 3))
    assert classification.accuracy(flat, LABEL) == 0.0
    assert np.trace(classification.confusion_matrix(flat, LABEL)) == 0
    # Half of all ties would be right by luck; here the best score is shared by the right class.
    assert classification.accuracy([[1.0, 1.0, 0.0]], [0]) == 0.0
    assert classification.accuracy([[1.0, 0.0, 0.0]], [0]) == 1.0


def test_the_confusion_matrix_counts_true_classes_by_row():
    matrix = classification.confusion_matrix(np.log(PROBABILITY), LABEL)
    np.testing.assert_array_equal(matrix, [[2, 0, 0], [0, 1, 0], [0, 1, 0]])
    words = classification_plots.describe(matrix, NAMES)
    assert words == (
        "3 of 4 rows are right (75.0 %). Most often mistaken: owl taken for dog (1 of 1)."
    )
    assert classification_plots.describe(np.eye(3, dtype=int), NAMES).endswith("(100.0 %).")


def test_calibration_of_a_model_that_says_what_is_true_is_small():
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=(20_000, 4))
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label = (probability.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert classification.expected_calibration_error(logits, label) < 0.015
    assert classification.expected_calibration_error(3 * logits, label) > 0.1  # too sure


def test_intervals_resample_groups_when_given_and_rows_otherwise():
    # Two speakers, one always right and one always wrong: with groups the truth may be anything.
    label = np.array([0, 1] * 50)
    logits = np.eye(3)[np.where(np.arange(100) < 50, label, 1 - label)]
    by_row = evaluate({"fused": logits}, label)[0]
    by_speaker = evaluate({"fused": logits}, label, groups=["a"] * 50 + ["b"] * 50)[0]
    assert (by_row.num_identities, by_speaker.num_identities) == (100, 2)
    assert (by_row.resampled, by_speaker.resampled) == ("rows", "groups of rows of the same group")
    assert by_row.low > 0.35 and by_row.high < 0.65
    assert (by_speaker.low, by_speaker.high) == (0.0, 1.0)
    assert evaluate({"fused": logits}, label, num_bootstrap=0)[0].low is None


def test_a_missing_modality_is_evaluated_where_it_is_and_the_fused_figures_everywhere():
    logits = {name: np.log(PROBABILITY) for name in ("fused", "audio", "image", "flow")}
    logits["image"] = logits["image"].copy()
    logits["image"][2] = np.nan  # what stands where a modality is absent does not matter
    absent = np.zeros(4, bool)
    present = {"image": np.array([True, True, False, True]), "flow": absent}
    results = evaluate(logits, present=present)
    value, rows = pick(results), pick(results, "num_trials")
    assert (rows["accuracy", "fused"], rows["accuracy", "image"]) == (4, 3)
    assert (value["accuracy", "audio"], value["accuracy", "image"]) == (0.75, 1.0)
    assert pick(results, "chance")["accuracy", "image"] == 2 / 3
    assert not any(direction == "flow" for _, direction in value)
    notes = {r.direction: r.notes for r in results}
    assert notes["fused"] == ()
    assert notes["image"][0].startswith("test: 1 of 4 rows have no image: its own figures are")


@pytest.mark.parametrize(
    ("label", "options", "sentence"),
    [
        ([1, 1, 1, 1], {}, "all 4 rows are of the class 'dog'"),
        ([0, 1, 2, 3], {}, r"1 of 4 labels lie outside the 3 classes 0 to 2 \(first: 3\)"),
        ([0, -1, 2, 1], {}, r"\(first: -1\)"),
        ([0, 1, 2, 0], {"tag": "val", "present": {"audio": [1, 0, 1, 1]}}, "val: 1 of 4 rows have"),
    ],
)
def test_what_cannot_be_evaluated_is_a_sentence(label, options, sentence):
    logits = {name: np.log(PROBABILITY) for name in ("fused", "audio")}
    with pytest.raises(registry.UserError, match=sentence):
        evaluate(logits, np.array(label), **options)


def test_no_rows_broken_logits_and_wrong_shapes_are_named():
    with pytest.raises(registry.UserError, match="there is no row"):
        evaluate({"fused": np.zeros((0, 3))}, np.zeros(0, int))
    broken = np.log(PROBABILITY)
    broken[1, 2] = np.inf
    with pytest.raises(registry.UserError, match=r"fused logits of 1 of 4 .*\(first: row 1\)"):
        evaluate({"fused": broken})
    with pytest.raises(ValueError, match="logits"):
        evaluate({"fused": np.zeros((4, 2))})
    with pytest.raises(ValueError, match="present"):
        evaluate(present={"fused": [True]})


@pytest.mark.parametrize("num_classes", [3, 50])
def test_pictures_are_drawn_for_few_and_for_many_classes(num_classes):
    rng = np.random.default_rng(0)
    label = rng.integers(num_classes, size=300)
    fused = 3 * np.eye(num_classes)[label] + rng.normal(size=(300, num_classes))
    names = [f"a $class$ with a rather long name, number {k}" for k in range(num_classes)]
    logits = {"fused": fused, "audio": fused[:, ::-1]}
    drawn = classification_plots.draw(logits, label, names, {"audio": np.zeros(300, bool)})
    assert list(drawn) == ["confusion", "reliability"]
    first = {name: drawing.png(figure) for name, figure in drawn.items()}
    assert all(content.startswith(PNG) for content in first.values())
    both = classification_plots.draw(logits, label, names)
    assert drawing.png(both["confusion"]) == first["confusion"]
    assert drawing.png(both["reliability"]) != first["reliability"]  # two panels: audio is there
