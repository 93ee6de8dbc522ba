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
    # The official rule of one annotator too: sum / 2.
    np.testing.assert_array_equal(localisation.consensus([LEFT], size=2), [[0.5, 0], [0.5, 0]])


def test_what_lies_in_the_box_of_any_object_counts_fully():
    truth = localisation.union([LEFT, TOP, LEFT], size=2)
    np.testing.assert_array_equal(truth, [[1, 1], [1, 0]])


@pytest.mark.parametrize("box", [(0.0, 0.0, 0.1, 0.1), (0.9, 0.9, 1.0, 1.0)])
def test_a_box_smaller_than_a_pixel_covers_one(box):
    assert localisation.union([box], size=2).sum() == 1


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
        ("threshold", [False, False, False, True]),  # normalised: 0, 1/8, 2/8, 1
        ("top_half", [False, False, True, True]),  # the median is 1.5
    ],
)
def test_both_rules_of_saying_where(rule, expected):
    heat = np.array([[0.0, 1.0], [2.0, 8.0]])
    assert localisation.binarise(heat, rule).ravel().tolist() == expected


def test_an_unknown_rule_is_refused():
    with pytest.raises(registry.UserError, match="threshold, top_half"):
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
    truth = localisation.union([(0.0, 0.0, 1.0, 1.0)])
    assert not localisation.points_inside(np.full((3, 3), 0.2), truth)
    np.testing.assert_array_equal(localisation.normalize(np.full((2, 2), 3.0)), 0.0)


def test_no_picture_with_boxes_is_a_sentence():
    with pytest.raises(registry.UserError, match="column annotations or objects"):
        localisation.evaluate([], [], tag="test")


CORNER = np.pad(np.ones((2, 2)), ((0, 2), (0, 2)))
MARK = [(0.0, 0.0, 0.5, 0.5)]


def test_two_objects_that_are_both_said_are_right_and_one_of_two_annotators_is_half_right():
    # The map says the left half: the union of two boxes of it. As votes, each pixel has one: the
    # truth is 1/2 there, and cIoU is 1 again; said everywhere it is 1/4 / (1/4 + 1/2) = 1/3.
    left = np.array([[1.0, 0.0], [1.0, 0.0]]).repeat(8, 0).repeat(8, 1)
    halves = [(0.0, 0.0, 0.5, 0.5), (0.0, 0.5, 0.5, 1.0)]
    for truth, everywhere in ((localisation.union, 0.5), (localisation.consensus, 1 / 3)):
        assert localisation.consensus_iou(left > 0, truth(halves, 16)) == 1.0
        all_of_it = np.ones((16, 16), bool)
        assert localisation.consensus_iou(all_of_it, truth(halves, 16)) == pytest.approx(everywhere)


def test_negatives_are_counted_in_ap_and_max_f1_alone():
    grids = [CORNER, CORNER, CORNER[::-1, ::-1], CORNER]
    found = localisation.evaluate(
        grids,
        [MARK, [], MARK, MARK],  # right, nothing sounds, wrong, right
        tag="t",
        confidence=[0.9, 0.8, 0.7, 0.6],
        absent=["", "noise", "", ""],
    )
    found = {(r.metric.key, r.direction): r for r in found}
    assert found["ciou", "audio to image"].value == pytest.approx(2 / 3)
    assert found["ciou", "audio to image"].num_trials == 3
    # By hand in test_detection.py.
    assert found["ap", "any negative"].value == pytest.approx(2 / 3)
    assert found["max_f1", "any negative"].value == pytest.approx(2 / 3)
    assert found["ap", "any negative"].num_trials == 4
    # A map that says everywhere has cIoU 1/4 of each box: never right.
    assert found["ap", "any negative"].chance == found["max_f1", "any negative"].chance == 0.0
    assert ("ap", "noise") not in found  # one kind is all of them


def test_each_kind_of_negative_stands_beside_all_images_with_a_source():
    found = localisation.evaluate(
        [CORNER] * 4,
        [MARK, [], [], MARK],
        tag="t",
        confidence=[0.9, 0.95, 0.1, 0.6],
        absent=["", "noise", "silence", ""],
        num_bootstrap=20,
    )
    found = {(r.metric.key, r.direction): r for r in found}
    # noise is surest of all: precision 1/2 at the first source, 2/3 at the second.
    assert found["ap", "noise"].value == pytest.approx(2 / 3)
    assert found["ap", "silence"].value == 1.0
    assert found["ap", "noise"].num_trials == found["ap", "silence"].num_trials == 3
    # Recall 1/2 and 1 come with precision 1/2 and 2/3, of which the greater one counts.
    assert found["ap", "any negative"].value == pytest.approx(2 / 3)
    assert found["ap", "noise"].low <= found["ap", "noise"].value <= found["ap", "noise"].high


def test_without_negatives_or_without_confidence_there_is_no_ap():
    for given in ({"confidence": [1.0]}, {}):
        found = localisation.evaluate([CORNER], [MARK], tag="t", **given)
        assert {r.metric.key for r in found} == {"pointing", "ciou", "ciou_auc"}
    found = localisation.evaluate([CORNER] * 2, [MARK, []], tag="t")
    assert {r.metric.key for r in found} == {"pointing", "ciou", "ciou_auc"}
