import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tests.conformance import replicas
from tfav.losses import orthogonality

LABELS = [[0, 1, 2, 3], [0, 1, 0, 1], [5, 5, 5, 5], [0, 0, 1, 2]]


def vectors(seed=0):
    return np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)


def test_the_term_of_three_rows_by_hand():
    # Rows (1, 0), (0, 1) of one identity and (1, 0) of another: the first two are orthogonal, which
    # costs 1 - 0; of the four ordered pairs of two identities the cosines are 1, 0, 1, 0: mean 1/2.
    x = tf.constant([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    rows = orthogonality.orthogonality(x, tf.constant([7, 7, 8]))
    assert tf.reduce_mean(rows).numpy() == pytest.approx(1.5)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_its_rows_and_gradient_are_those_of_the_twin(label, sign):
    x = vectors() + sign * 2.0  # cosines of one sign and of both
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(orthogonality.orthogonality(variable, tf.constant(label)))
    np.testing.assert_allclose(value, reference.orthogonality(x, label), atol=1e-5)
    expected = reference.numeric_gradient(lambda y: reference.orthogonality(y, label), x)
    np.testing.assert_allclose(tape.gradient(value, variable), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("label", LABELS)
def test_two_replicas_equal_one(label, mirrored):
    def step(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            rows = orthogonality.orthogonality(x, y)
            loss = tf.reduce_sum(rows) / 4
        return rows, tape.gradient(loss, x)

    one = step(tf.constant(vectors()), tf.constant(label))
    halves = [replicas.halves(mirrored, x) for x in (vectors(), np.array(label, np.int32))]
    two = tf.function(lambda *batch: mirrored.run(step, args=batch))(*halves)
    for value, expected in zip(two, one):
        np.testing.assert_allclose(replicas.joined(mirrored, value), expected, rtol=1e-4, atol=1e-6)
