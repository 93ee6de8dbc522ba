"""The learnt temperature: where it starts, its ceiling, and which way it may go from there."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import replicas
from tfav import compat, registry
from tfav.layers import Temperature


def _gradient(layer, upstream):
    with tf.GradientTape() as tape:
        loss = upstream * layer.scale()
    return float(tape.gradient(loss, compat.raw(layer.log_scale)))


def test_it_multiplies_by_one_over_the_temperature():
    layer = Temperature(0.25, 8.0)
    np.testing.assert_allclose(layer(tf.constant([[1.0, -0.5]])), [[4.0, -2.0]], rtol=1e-6)
    assert _gradient(layer, 3.0) == pytest.approx(3.0 * 4.0)  # d e^w / d w is e^w


def test_above_its_ceiling_it_stays_and_may_only_come_down():
    layer = Temperature(0.25, 8.0)
    layer.log_scale.assign(math.log(9.0))
    assert float(layer.scale()) == pytest.approx(8.0)
    # A step against a gradient below zero would raise it further.
    assert _gradient(layer, -3.0) == 0.0
    assert _gradient(layer, 3.0) == pytest.approx(3.0 * 8.0)
    layer.log_scale.assign(math.log(7.0))
    assert _gradient(layer, -3.0) == pytest.approx(-3.0 * 7.0)


@pytest.mark.parametrize("upstream", [[-3.0, 1.0], [3.0, -1.0]])
def test_at_the_ceiling_the_gradient_of_the_global_batch_decides(mirrored, upstream):
    with mirrored.scope():
        layer = Temperature(0.25, 4.0)

    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(x) * layer.scale()
        return tape.gradient(loss, compat.raw(layer.log_scale))

    halves = replicas.halves(mirrored, np.array(upstream, np.float32))
    found = tf.function(lambda x: mirrored.run(step, args=(x,)))(halves)
    whole = max(sum(upstream), 0.0) * 4.0
    assert replicas.summed(mirrored, found) == pytest.approx(whole)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"temperature": 0.0}, "temperature=0.0 must be positive"),
        ({"temperature": 0.07, "max_scale": 10.0}, "max_scale=10.0 is below 1 / temperature = 14"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(arguments, says):
    with pytest.raises(registry.UserError, match=says):
        Temperature(**arguments)
