"""Precision and recall by confidence, by hand and against a loop over thresholds."""

import numpy as np
import pytest

from tfav.evaluation import detection

# Right, nothing sounds, wrong, right: from the surest on.
CONFIDENCE, RIGHT, PRESENT = [0.9, 0.8, 0.7, 0.6], [1, 0, 0, 1], [1, 0, 1, 1]


def test_four_images_by_hand():
    found = detection.Detections(CONFIDENCE, RIGHT, PRESENT)
    precision, recall = found.curve()
    # 0.9: 1 of 1 accepted is right, 2 are missed. 0.8: 1 of 2. 0.7: 1 of 3, 1 missed. 0.6: 2 of 4.
    np.testing.assert_allclose(precision, [[1, 1 / 2, 1 / 3, 1 / 2]])
    np.testing.assert_allclose(recall, [[1 / 3, 1 / 3, 1 / 2, 1]])
    # 1/3 at 1, then (1/2 - 1/3) + (1 - 1/2) at 1/2.
    assert found.average_precision()[0] == pytest.approx(1 / 3 + 2 / 3 / 2)
    assert found.max_f1()[0] == pytest.approx(2 * (1 / 2) * 1 / (3 / 2))


def test_equal_confidences_are_accepted_together_whatever_their_order():
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        right, present = np.array(RIGHT)[order], np.array(PRESENT)[order]
        found = detection.Detections(np.zeros(4), right, present)
        precision, recall = found.curve()
        np.testing.assert_allclose(precision, [[1 / 2]])
        np.testing.assert_allclose(recall, [[1]])
        assert found.average_precision()[0] == 1 / 2


def test_nothing_right_is_zero_and_all_right_is_one():
    nothing = detection.Detections(CONFIDENCE, [0] * 4, PRESENT)
    assert nothing.average_precision()[0] == nothing.max_f1()[0] == 0.0
    # Sources first, each right: the negative is accepted last.
    best = detection.Detections([4, 3, 2, 1], [1, 1, 1, 0], [1, 1, 1, 0])
    assert best.average_precision()[0] == best.max_f1()[0] == 1.0


def twin(confidence, right, present, drawn):
    """AP and max-F1 by a loop over thresholds, as the definition reads."""
    rows = np.repeat(np.arange(len(confidence)), drawn)
    points = []
    for threshold in sorted(set(confidence), reverse=True):
        true = sum(right[i] for i in rows if confidence[i] >= threshold)
        false = sum(not right[i] for i in rows if confidence[i] >= threshold)
        missed = sum(present[i] for i in rows if confidence[i] < threshold)
        precision = true / (true + false) if true + false else 0.0
        points.append((precision, true / (true + missed) if true + missed else 0.0))
    area, before = 0.0, 0.0
    for place, (_, recall) in enumerate(points):
        area += (recall - before) * max(p for p, _ in points[place:])
        before = recall
    return area, max(2 * p * r / (p + r) if p + r else 0.0 for p, r in points)


def test_resamples_are_those_of_the_loop():
    random = np.random.default_rng(0)
    size = 30
    confidence = random.integers(0, 12, size) / 4.0
    present = random.random(size) < 0.6
    right = present & (random.random(size) < 0.5)
    drawn = np.concatenate(
        [np.ones((1, size), int), random.multinomial(size, [1 / size] * size, 8)]
    )
    found = detection.Detections(confidence, right, present)
    expected = np.array([twin(confidence, right, present, row) for row in drawn])
    np.testing.assert_allclose(found.average_precision(drawn), expected[:, 0], atol=1e-12)
    np.testing.assert_allclose(found.max_f1(drawn), expected[:, 1], atol=1e-12)
    assert found.average_precision()[0] == pytest.approx(expected[0, 0])
