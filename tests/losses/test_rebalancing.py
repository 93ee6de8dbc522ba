"""The formulas that balance modalities, by numbers that one can work out."""

import numpy as np
import pytest
import tensorflow as tf

from tfav.losses import rebalancing


def _pareto(joint, alone, gamma=1.0):
    return rebalancing.pareto(tf.constant(joint), tf.constant(alone), gamma).numpy()


def test_gradients_that_agree_are_added():
    np.testing.assert_allclose(_pareto([1.0, 2.0], [3.0, 0.0]), [4.0, 2.0])
    np.testing.assert_allclose(_pareto([1.0, 0.0], [0.0, 3.0]), [1.0, 3.0])  # at right angles
    np.testing.assert_allclose(_pareto([1.0, 2.0], [3.0, 0.0], 1.5), [6.0, 3.0])


def test_gradients_in_conflict_are_joined_by_the_shortest_vector_between_them():
    # Between (2, 0) and (-1, 1): a (2, 0) + (1 - a) (-1, 1) is shortest at a = 4 / 10: twice
    # (0.2, 0.6) = (0.4, 1.2), longer than? The sum (1, 1) has sqrt 2, (0.4, 1.2) sqrt 1.6: as it is
    # shorter, it is brought to the length of the sum.
    expected = np.array([0.4, 1.2])
    factor = max(1.0, np.sqrt(2.0) / np.sqrt(1.6))
    found = _pareto([2.0, 0.0], [-1.0, 1.0])
    np.testing.assert_allclose(found, factor * expected, rtol=1e-6)
    assert found @ [2.0, 0.0] > 0 and found @ [-1.0, 1.0] > 0  # it conflicts with neither


def test_what_is_shorter_than_the_sum_gets_its_length_and_opposites_give_nothing():
    joint, alone = np.array([10.0, 1.0]), np.array([-1.0, 0.5])
    found = _pareto(joint.tolist(), alone.tolist())
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(joint + alone), rel=1e-5)
    np.testing.assert_array_equal(_pareto([2.0, 0.0], [-2.0, 0.0]), [0.0, 0.0])
    np.testing.assert_array_equal(_pareto([0.0, 0.0], [0.0, 0.0]), [0.0, 0.0])


def test_who_is_further_ahead_than_usual_is_held_back():
    # r = exp(others - own): (e, 1 / e) now, (1, 1) usually; alpha 2.
    found = rebalancing.adaptive_factors(tf.constant([0.5, 1.5]), tf.constant([1.0, 1.0]), 2.0)
    e = np.e
    np.testing.assert_allclose(found, [np.exp(2 * (1 - e)), np.exp(2 * (1 - 1 / e))], rtol=1e-5)
    same = tf.constant([0.3, 2.0, 1.0])
    np.testing.assert_allclose(rebalancing.adaptive_factors(same, same, 5.0), [1.0, 1.0, 1.0])


def test_of_three_modalities_the_lead_is_over_the_mean_of_the_others():
    found = rebalancing.adaptive_factors(tf.constant([0.0, 1.0, 3.0]), tf.constant([1.0] * 3), 1.0)
    lead = np.exp([2.0, 0.5, -2.5])
    np.testing.assert_allclose(found, np.exp(np.minimum(1 - lead, 10)), rtol=1e-5)


def test_prototypes_are_as_near_as_they_are():
    features, prototypes = tf.constant([[0.0, 0.0], [3.0, 4.0]]), tf.constant([[3.0, 4.0]])
    np.testing.assert_allclose(rebalancing.prototype_logits(features, prototypes)[0], [-5.0])
    x = tf.Variable([[3.0, 4.0]])
    with tf.GradientTape() as tape:  # on the prototype itself
        near = rebalancing.prototype_logits(x, prototypes)
    assert abs(near.numpy()[0, 0]) < 1e-5 and np.isfinite(tape.gradient(near, x)).all()


def test_the_modality_behind_learns_from_prototypes_and_the_one_ahead_is_slowed():
    behind, ahead = rebalancing.rebalance(tf.constant([0.6, 0.4]))
    np.testing.assert_allclose(behind, [0.0, 0.5], atol=1e-6)
    np.testing.assert_allclose(ahead, [0.5, 0.0], atol=1e-6)
    behind, ahead = rebalancing.rebalance(tf.constant([0.9, 0.1, 0.9]))  # clipped at 1
    np.testing.assert_allclose(behind, [0.0, 1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(ahead, [1.0, 0.0, 1.0], atol=1e-6)


def test_who_is_certain_counts_most():
    sure, unsure = tf.constant([[50.0, 0.0]]), tf.constant([[0.0, 0.0]])
    np.testing.assert_allclose(rebalancing.entropy(sure), [0.0], atol=1e-6)
    np.testing.assert_allclose(rebalancing.entropy(unsure), [np.log(2)], rtol=1e-6)
    # exp(-0) : exp(-ln 2) = 2 : 1.
    found = rebalancing.certainty([sure, unsure])
    np.testing.assert_allclose(found[:, 0], [2 / 3, 1 / 3], rtol=1e-5)


def test_a_direction_that_was_seen_is_projected_away():
    # P = I, h = (2, 0), alpha = 1: P - h h' / (1 + 4) = diag(1 - 4 / 5, 1).
    one = rebalancing.orthogonal_update(tf.eye(2), tf.constant([2.0, 0.0]), 1.0)
    np.testing.assert_allclose(one, np.diag([0.2, 1.0]), rtol=1e-6)
    # Recursive least squares is the inverse of I + sum h h' / alpha.
    rng = np.random.default_rng(0)
    projection, total = tf.eye(3), np.eye(3)
    for h in rng.normal(size=(4, 3)):
        projection = rebalancing.orthogonal_update(projection, tf.constant(h, tf.float32), 0.1)
        total += np.outer(h, h) / 0.1
    np.testing.assert_allclose(projection, np.linalg.inv(total), atol=1e-4)
