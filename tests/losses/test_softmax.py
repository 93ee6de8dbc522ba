import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tfav.losses import softmax


def test_each_row_keeps_its_own_cross_entropy():
    # Row 0: logits (1, 0) for class 0: ln(1 + e^-1) = 0.3132617. Row 1: (0, 0): ln 2 = 0.6931472.
    loss = softmax.cross_entropy([[1.0, 0.0], [0.0, 0.0]], [0, 1])
    np.testing.assert_allclose(loss, [0.3132617, 0.6931472], atol=1e-6)


def test_sample_weights_can_reach_single_rows():
    # The released code averages first: mean(0.2395448, 1.0986123) * mean(2, 0) = 0.6690785.
    logits = [[0.0, -2.0, -2.0], [0.0, 0.0, 0.0]]  # ln(1 + 2 e^-2) = 0.2395448 and ln 3
    loss = softmax.cross_entropy(logits, [0, 0])
    np.testing.assert_allclose(loss, [0.2395448, 1.0986123], atol=1e-6)
    np.testing.assert_allclose(tf.reduce_mean([2.0, 0.0] * loss), 0.2395448, atol=1e-6)


def test_cross_entropy_equals_the_naive_loop():
    rng = np.random.default_rng(1)
    logits, label = rng.normal(size=(6, 5)), rng.integers(0, 5, 6)
    expected = reference.cross_entropy(logits, label)
    np.testing.assert_allclose(softmax.cross_entropy(logits, label), expected, atol=1e-5)


def test_the_gradient_is_the_posterior_less_one_at_the_label_times_the_rows_weight():
    # softmax(ln 1, ln 3) = (1/4, 3/4). Row 0 of label 0 and weight 2: 2 * (1/4 - 1, 3/4); row 1 of
    # label 1 and weight -4: -4 * (1/4, 3/4 - 1).
    logits = tf.math.log([[1.0, 3.0], [1.0, 3.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = tf.reduce_sum([2.0, -4.0] * softmax.cross_entropy(logits, [0, 1]))
    np.testing.assert_allclose(tape.gradient(total, logits), [[-1.5, 1.5], [-1, 1]], atol=1e-6)


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16, tf.float32])
def test_huge_logits_of_any_type_give_a_finite_float32(dtype):
    logits = tf.constant([[6e4, -6e4]] * 2, dtype)
    loss = softmax.cross_entropy(logits, [0, 1])
    assert loss.dtype == tf.float32
    assert np.isfinite(loss).all()


@pytest.mark.parametrize("name", ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"])
def test_implicit_loss_equals_the_released_code(golden, name):
    g = golden(name)
    for modality in ("face", "voice"):
        loss = softmax.cross_entropy(g[modality] @ g["class_weights"].T, g["labels"])
        np.testing.assert_allclose(loss, g[f"{modality}_ce"], rtol=1e-5, atol=1e-5)
