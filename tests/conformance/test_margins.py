"""Every row of `MARGINS` keeps the promises of a margin."""

import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tests.conformance import walk
from tfav.layers import margins

TWINS = [name for name in margins.MARGINS if hasattr(reference, name)]
SIZES = (0.0, 0.2, 0.5, margins.LARGEST)
COSINES = np.linspace(-0.999, 0.999, 401)


def _value_and_slope(name, cosine, margin, dtype=tf.float64):
    cosine = tf.constant(cosine, dtype)
    with tf.GradientTape() as tape:
        tape.watch(cosine)
        value = margins.MARGINS[name](cosine, tf.constant(margin, dtype))
    return value.numpy(), tape.gradient(value, cosine).numpy()


def test_every_row_has_a_twin():
    add = "write its equation as a NumPy function (cosine, margin): ROW in tests/reference.py."
    walk.check_complete(margins.MARGINS, TWINS, "MARGINS", add)


@pytest.mark.parametrize("margin", SIZES)
@pytest.mark.parametrize("name", TWINS)
def test_a_row_equals_its_twin_in_value_and_slope(name, margin):
    twin = getattr(reference, name)
    value, slope = _value_and_slope(name, COSINES, margin)
    np.testing.assert_allclose(value, twin(COSINES, margin), rtol=1e-9, atol=1e-9)
    step = 1e-7
    expected = (twin(COSINES + step, margin) - twin(COSINES - step, margin)) / (2 * step)
    smooth = np.abs(COSINES + np.cos(margin)) > 1e-3  # where theta + m passes pi there is a step
    np.testing.assert_allclose(slope[smooth], expected[smooth], rtol=1e-5, atol=1e-6)
    value, _ = _value_and_slope(name, COSINES, margin, tf.float32)
    assert value.dtype == np.float32
    np.testing.assert_allclose(value[smooth], twin(COSINES, margin)[smooth], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", TWINS)
def test_a_margin_of_0_changes_nothing(name):
    np.testing.assert_allclose(_value_and_slope(name, COSINES, 0.0)[0], COSINES, atol=1e-12)


@pytest.mark.parametrize("margin", SIZES)
@pytest.mark.parametrize("name", TWINS)
def test_a_margin_never_helps_and_keeps_the_order_of_the_angles(name, margin):
    cosine = np.linspace(-1, 1, 4001)
    value, slope = _value_and_slope(name, cosine, margin)
    assert (value <= cosine + 1e-12).all() and (np.diff(value) > 0).all()
    assert (slope > 0).all()


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
@pytest.mark.parametrize("margin", SIZES)
@pytest.mark.parametrize("name", TWINS)
def test_value_and_slope_are_finite_where_a_sine_has_no_slope(name, margin, dtype):
    last_bit = 2.0**-23
    cosine = [1.0, 1.0 + last_bit, 1.0 - last_bit / 2, -1.0, -1.0 - last_bit, -np.cos(margin)]
    value, slope = _value_and_slope(name, cosine, margin, dtype)
    assert np.isfinite(value).all() and np.isfinite(slope).all()
    np.testing.assert_allclose(value[0], getattr(reference, name)(1.0, margin), atol=1e-6)
    np.testing.assert_allclose(value[3], getattr(reference, name)(-1.0, margin), atol=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", TWINS)
def test_the_gradient_of_an_embedding_on_its_centre_is_that_of_central_differences(name, sign):
    # At a cosine of 1 and -1 the angle has a kink: to both sides alike it grows, or falls.
    center, x = np.array([3.0, 4.0]) / 5, sign * np.array([1.5, 2.0])
    embedding = tf.constant(x, tf.float32)[tf.newaxis]
    with tf.GradientTape() as tape:
        tape.watch(embedding)
        cosine = tf.linalg.matvec(tf.nn.l2_normalize(embedding, 1), tf.constant(center, tf.float32))
        value = margins.MARGINS[name](cosine, tf.constant(0.5))
    found = tape.gradient(value, embedding)[0]
    twin = getattr(reference, name)
    expected = reference.numeric_gradient(
        lambda v: float(twin(v @ center / np.linalg.norm(v), 0.5)), x, step=1e-4
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)
