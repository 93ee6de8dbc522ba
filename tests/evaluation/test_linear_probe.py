"""Linear probes: the folds, the choice of C inside the training part, the average over subclips."""

import numpy as np
import pytest

from tfav import registry
from tfav.evaluation import linear_probe, probe_parts


def _two_classes(num_clips=24, seed=0):
    """Class = sign of the first feature; four folds of whole clips; two rows a clip."""
    rng = np.random.default_rng(seed)
    label = np.arange(num_clips) % 2
    features = rng.normal(0, 0.3, (num_clips, 2, 3))
    features[:, :, 0] += (2 * label - 1)[:, None]
    clip = np.array([f"c{i:02d}" for i in range(num_clips)])
    fold = np.array([str(1 + i // 2 % 4) for i in range(num_clips)])
    return features.reshape(-1, 3), np.repeat(label, 2), np.repeat(clip, 2), np.repeat(fold, 2)


def test_folds_are_each_tested_once_and_separable_classes_are_found():
    features, label, clip, fold = _two_classes()
    found = linear_probe.probe(features, label, clip, probe_parts.parts(fold, fold), fold)
    assert sorted(found.clip) == sorted(set(clip))  # every clip once, not every row
    assert (found.label == found.predicted).all()
    assert set(found.constants) == {"1", "2", "3", "4"}
    (row,) = linear_probe.evaluate(found, "audio", tag="esc50", num_bootstrap=50, seed=0)
    assert row.value == 1.0 and row.num_trials == 24 and row.chance == 0.5
    assert row.details["folds"] == {"1": 1.0, "2": 1.0, "3": 1.0, "4": 1.0}


def test_scores_of_a_clips_rows_are_averaged():
    # One test clip of two rows: one a little on the wrong side, one far on the right one.
    features = np.array([[-1.0], [-1.2], [1.0], [1.2], [-0.2], [3.0]])
    label = np.array([0, 0, 1, 1, 1, 1])
    clip = np.array(["a", "b", "c", "d", "e", "e"])
    split = np.array(["train"] * 4 + ["test"] * 2)
    found = linear_probe.probe(features, label, clip, probe_parts.parts(split, None))
    assert found.clip.tolist() == ["e"] and found.predicted.tolist() == [1]
    alone = linear_probe.probe(
        features, label, np.array(["a", "b", "c", "d", "e", "f"]), probe_parts.parts(split, None)
    )
    assert alone.predicted.tolist() == [0, 1]  # the first row alone is wrong


def test_what_the_test_part_holds_never_moves_the_choice_of_c():
    features, label, clip, fold = _two_classes(seed=3)
    tests = probe_parts.parts(fold, fold)
    before = linear_probe.probe(features, label, clip, tests, fold)
    changed = features.copy()
    changed[fold == "1"] = 1e3  # fold 1 is nonsense: its own C must stay as it was
    after = linear_probe.probe(changed, label, clip, tests, fold)
    assert after.constants["1"] == before.constants["1"]


def test_an_accuracy_is_the_mean_over_folds_and_not_over_clips():
    found = linear_probe.Probe(
        np.array(["a", "b", "c"]),
        np.array([0, 0, 1]),
        np.array([0, 1, 1]),
        np.array(["1", "1", "2"]),
        {},
    )
    (row,) = linear_probe.evaluate(found, "x", tag="t", num_bootstrap=0, seed=0)
    assert row.value == 0.75  # (1/2 + 1/1) / 2, while 2 of 3 clips are right
    assert row.low is None and row.chance == pytest.approx(2 / 3)


def test_more_than_two_classes_are_told_apart():
    rng = np.random.default_rng(0)
    label = np.arange(30) % 3
    features = np.eye(3)[label] + rng.normal(0, 0.1, (30, 3))
    clip = np.array([str(i) for i in range(30)])
    split = np.where(np.arange(30) < 21, "train", "test")
    found = linear_probe.probe(features, label + 5, clip, probe_parts.parts(split, None))
    assert (found.predicted == found.label).all() and set(found.predicted) == {5, 6, 7}


def test_a_recording_in_two_folds_is_refused():
    probe_parts.check_folds(["1", "1", "2"], ["a", "a", "b"], "esc")
    with pytest.raises(registry.UserError, match="recording a lie in the folds 1, 2"):
        probe_parts.check_folds(["1", "2", "2"], ["a", "a", "b"], "esc")


@pytest.mark.parametrize("fold", [["1", "1"], ["1", ""]])
def test_missing_folds_are_refused(fold):
    with pytest.raises(registry.UserError, match="esc has no two folds"):
        probe_parts.check_folds(fold, ["a", "b"], "esc")


def test_data_without_folds_and_splits_is_refused():
    with pytest.raises(registry.UserError, match="column fold, or the splits train and test"):
        probe_parts.parts(["train", "val"], None)


def test_one_class_is_refused():
    features = np.zeros((4, 2))
    split = np.array(["train", "train", "test", "test"])
    with pytest.raises(registry.UserError, match="one class only"):
        linear_probe.probe(
            features,
            np.array([1, 1, 0, 1]),
            np.array(list("abcd")),
            probe_parts.parts(split, None),
        )


def test_classes_that_training_does_not_have_are_noted_and_disjoint_ones_refused():
    features = np.array([[-1.0], [-1.2], [1.0], [1.2], [1.1], [5.0]])
    split = np.array(["train"] * 4 + ["test"] * 2)
    parts = probe_parts.parts(split, None)
    clip = np.array(list("abcdef"))
    found = linear_probe.probe(features, np.array([0, 0, 1, 1, 1, 2]), clip, parts)
    (row,) = linear_probe.evaluate(found, "x", tag="t", num_bootstrap=0, seed=0)
    assert row.value == 0.5  # class 2 was never seen, so its clip is wrong
    assert row.notes[0].startswith("1 of the 2 classes tested in test do not come in its training")
    with pytest.raises(registry.UserError, match="none of the 2 classes tested in test comes in"):
        linear_probe.probe(features, np.array([0, 0, 1, 1, 2, 3]), clip, parts)
