import numpy as np
import tensorflow as tf

from tests import reference
from tfav.ops import similarity


def test_normalize_gives_unit_rows_in_float32_or_float64():
    for dtype in (tf.bfloat16, tf.float16, tf.float32, tf.float64):
        unit = similarity.normalize(tf.constant([[3.0, 4.0], [0.0, -2.0]], dtype))
        assert unit.dtype == (tf.float64 if dtype == tf.float64 else tf.float32)
        np.testing.assert_allclose(unit, [[0.6, 0.8], [0.0, -1.0]], atol=1e-7)


def test_a_tiny_vector_keeps_its_direction_and_a_zero_vector_stays_zero():
    # Norm 5e-10: the default epsilon (a floor of 1e-6 on the norm) would give a row of length 5e-4.
    x = tf.constant([[3e-10, 4e-10], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        unit = similarity.normalize(x)
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.0, 0.0]], atol=1e-6)
    assert np.isfinite(tape.gradient(unit, x)).all()


def test_cosine_matrix_compares_every_row_with_every_row():
    # (3, 4) and (0, 1): 4 / 5; (3, 4) and (-1, 0): -3 / 5; length does not count.
    cosine = similarity.cosine_matrix([[3.0, 4.0]], [[0.0, 1.0], [-7.0, 0.0], [30.0, 40.0]])
    np.testing.assert_allclose(cosine, [[0.8, -0.6, 1.0]], atol=1e-6)


def test_cosine_matrix_equals_the_naive_loop():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    expected = reference.normalize(a) @ reference.normalize(b).T
    np.testing.assert_allclose(similarity.cosine_matrix(a, b), expected, atol=1e-6)
