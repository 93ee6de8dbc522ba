import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tfav.losses import multimodal


def _logits(seed, modalities=2, rows=5, classes=4):
    rng = np.random.default_rng(seed)
    return [2 * rng.normal(size=(rows, classes)) for _ in range(modalities)]


def test_agreement_equals_the_naive_loop_and_is_zero_between_equals():
    one, other = _logits(0)
    found = multimodal.agreement(tf.constant(one), tf.constant(other))
    np.testing.assert_allclose(found, reference.agreement(one, other), rtol=1e-5)
    np.testing.assert_allclose(multimodal.agreement(one, one + 3.0), np.zeros(5), atol=1e-6)


def test_agreement_of_two_classes_by_hand():
    # p = (3/4, 1/4), q = (1/4, 3/4): (p - q) . (ln p - ln q) = 2 * 0.5 * ln 3.
    one, other = tf.constant([[3.0, 1.0]]), tf.constant([[1.0, 3.0]])
    found = multimodal.agreement(tf.math.log(one), tf.math.log(other))
    np.testing.assert_allclose(found, [np.log(3.0)], rtol=1e-6)


def test_agreement_stays_finite_for_certain_predictions():
    one = tf.constant([[1e4, 0.0, -1e4]])
    with tf.GradientTape() as tape:
        tape.watch(one)
        loss = multimodal.agreement(one, -one)
    assert np.isfinite(loss).all() and np.isfinite(tape.gradient(loss, one)).all()


def test_margin_shares_by_hand():
    # Audio: 3 - mean(1, 1) = 2; image: 0 - mean(3, 9) = -6, which weighs too: 2 / 8 and 6 / 8.
    # Second row: nobody says anything.
    logits = {
        "audio": tf.constant([[3.0, 1.0, 1.0], [0.0, 0.0, 0.0]]),
        "image": tf.constant([[0.0, 3.0, 9.0], [2.0, 2.0, 2.0]]),
    }
    shares = multimodal.margin_shares(logits, tf.constant([0, 1]))
    np.testing.assert_allclose(shares["audio"], [0.25, 0.5], atol=1e-6)
    np.testing.assert_allclose(shares["image"], [0.75, 0.5], atol=1e-6)


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_margin_shares_equal_the_naive_loop_and_sum_to_one(modalities):
    logits, label = _logits(1, modalities), [0, 3, 1, 2, 2]
    found = multimodal.margin_shares(
        {str(i): tf.constant(z, tf.float32) for i, z in enumerate(logits)}, tf.constant(label)
    )
    for value, expected in zip(found.values(), reference.margin_shares(logits, label)):
        np.testing.assert_allclose(value, expected, rtol=1e-4)
    np.testing.assert_allclose(sum(found.values()), np.ones(5), rtol=1e-6)


def test_modulation_holds_back_the_modality_ahead_by_hand():
    # rho = 0.6 / 0.2 = 3: 1 - tanh(0.3) = 0.7086874; the other's is 1 / 3 and is left alone.
    np.testing.assert_allclose(multimodal.modulation([0.6, 0.2], 0.1), [0.7086874, 1.0], rtol=1e-6)
    np.testing.assert_allclose(multimodal.modulation([2.0, 6.0], 0.1), [1.0, 0.7086874], rtol=1e-6)
    np.testing.assert_array_equal(multimodal.modulation([0.4, 0.4], 0.1), [1.0, 1.0])
    # Three: (0.8 / 0.4 + 0.8 / 0.2) / 2 = 3; (0.5 + 2) / 2 = 1.25; (0.25 + 0.5) / 2 < 1.
    expected = [1 - np.tanh(0.3), 1 - np.tanh(0.125), 1.0]
    np.testing.assert_allclose(multimodal.modulation([0.8, 0.4, 0.2], 0.1), expected, rtol=1e-6)


@pytest.mark.parametrize("modalities", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_modulation_equals_the_naive_loop(modalities, seed):
    logits, label = _logits(seed, modalities), [0, 3, 1, 2, 2]
    scores = [np.mean(reference.softmax(z)[np.arange(5), label]) for z in logits]
    found = multimodal.modulation(tf.constant(scores, tf.float32), 0.3)
    np.testing.assert_allclose(found, reference.modulation(logits, label, 0.3), rtol=1e-5)


def test_modulation_of_a_hopeless_modality_is_finite():
    np.testing.assert_allclose(multimodal.modulation([0.5, 0.0], 0.1), [0.0, 1.0], atol=1e-6)
