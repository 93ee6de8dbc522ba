"""Localisation: boxes, maps and their overlap, by hand."""

import numpy as np
import pytest

from tfav import registry
from tfav.evaluation import localisation

LEFT = (0.0, 0.0, 0.5, 1.0)
TOP = (0.0, 0.0, 1.0, 0.5)


def test_two_of_three_annotators_count_fully_and_one_counts_half():
    truth = localisation.consensus([LEFT, TOP, LEFT], size=2)
    # top left: three boxes, bottom left: two, top right: one, bottom right: none
    np.testing.assert_array_equal(truth, [[1.0, 0.5], [1.0, 0.0]])
    np.testing.assert_array_equal(localisation.consensus([LEFT], size=2), [[1, 0], [1, 0]])


def test_consensus_iou_by_hand():
    truth = np.array([[1.0, 0.5], [0.0, 0.0]])
    said = np.array([[True, False], [True, False]])
    # (1) / (1.5 + one pixel outside)
    assert localisation.consensus_iou(said, truth) == pytest.approx(1 / 2.5)
    assert localisation.consensus_iou(truth > 0, truth) == pytest.approx(1.0)


def test_upsampling_is_linear_between_the_centres_of_cells():
    line = localisation.upsample(np.array([[0.0, 1.0]]), 4)
    # centres of two cells at 1/4 and 3/4; of four pixels at 1/8, 3/8, 5/8, 7/8
    np.testing.assert_allclose(line, [[0, 0.25, 0.75, 1]] * 4)
    np.testing.assert_allclose(localisation.upsample(np.ones((3, 5)), 8), 1.0)


def test_upsampling_is_what_tensorflow_does():
    import tensorflow as tf

    grid = np.random.default_rng(0).normal(size=(3, 5))
    theirs = tf.image.resize(grid[..., None], (20, 20), "bilinear")[..., 0]
    np.testing.assert_allclose(localisation.upsample(grid, 20), theirs, atol=1e-6)


@pytest.mark.parametrize(
    "rule,expected",
    [
        ("half_maximum", [False, False, False, True]),  # normalised: 0, 1/8, 2/8, 1
        ("top_half", [False, False, True, True]),  # the median is 1.5
    ],
)
def test_both_rules_of_saying_where(rule, expected):
    heat = np.array([[0.0, 1.0], [2.0, 8.0]])
    assert localisation.binarise(heat, rule).ravel().tolist() == expected


def test_an_unknown_rule_is_refused():
    with pytest.raises(registry.UserError, match="half_maximum, top_half"):
        localisation.binarise(np.eye(2), "most")


def test_perfect_maps_score_one_and_the_wrong_corner_none():
    corner = np.zeros((4, 4))
    corner[:2, :2] = 1.0
    box = [(0.0, 0.0, 0.5, 0.5)]
    right = localisation.evaluate([corner], [box], tag="t")
    wrong = localisation.evaluate([corner[::-1, ::-1]], [box], tag="t")
    assert {r.metric.key: r.value for r in right}["pointing"] == 1.0
    assert {r.metric.key: r.value for r in right}["ciou"] == 1.0
    found = {r.metric.key: r for r in wrong}
    assert found["pointing"].value == found["ciou"].value == 0.0
    assert found["pointing"].chance == pytest.approx(0.25)
    assert found["ciou_auc"].value == pytest.approx(0.025)  # cIoU 0 passes threshold 0 alone


def test_area_under_success_is_the_trapezoid_of_the_mean():
    iou = np.array([0.0, 0.32, 0.77, 1.0])
    success = np.array([(iou >= t).mean() for t in localisation.THRESHOLDS])
    expected = ((success[1:] + success[:-1]) / 2 * 0.05).sum()
    assert localisation._area(iou).mean() == pytest.approx(expected)


def test_a_map_that_is_the_same_everywhere_points_nowhere():
    truth = localisation.consensus([(0.0, 0.0, 1.0, 1.0)])
    assert not localisation.points_inside(np.full((3, 3), 0.2), truth)
    np.testing.assert_array_equal(localisation.normalize(np.full((2, 2), 3.0)), 0.0)


def test_no_picture_with_boxes_is_a_sentence():
    with pytest.raises(registry.UserError, match="column boxes"):
        localisation.evaluate([], [], tag="test")
