"""Sums in a fixed order."""

import numpy as np
import pytest
import tensorflow as tf

from tfav.ops import sums


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_sum_and_its_gradients_are_those_of_numpy(count):
    values = [tf.Variable(np.random.default_rng(n).normal(size=(2, 3))) for n in range(count)]
    with tf.GradientTape() as tape:
        total = sums.in_order(values)
    np.testing.assert_allclose(total, sum(value.numpy() for value in values), rtol=1e-14)
    for gradient in tape.gradient(total, values):
        np.testing.assert_array_equal(gradient, np.ones([2, 3]))


@pytest.mark.parametrize("read_elsewhere", [0, 1, 2])
def test_the_order_does_not_hang_on_who_else_reads_a_term(read_elsewhere):
    """In float32 1e8 + 1 - 1e8 is 0 from left to right, and 1 where the 1 comes last."""

    @tf.function
    def total(a, b, c):
        terms = [a * 1e8, b * 1.0, c * -1e8]
        found = sums.in_order(terms)
        with tf.control_dependencies([found]):  # the memory of this term is needed until then
            return found, terms[read_elsewhere] * 2.0

    ones = [tf.constant(1.0)] * 3
    assert total(*ones)[0].numpy() == 0.0
