import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tfav import registry, weights
from tfav.layers import classifiers


def _set(layer, kernel):
    layer.kernel.assign(np.asarray(kernel, np.float32))
    return layer


def test_normalized_logits_are_scaled_cosines_whatever_the_lengths():
    # cos((3, 4), (1, 0)) = 0.6, cos((3, 4), (0, 2)) = 0.8, times 10.
    layer = _set(classifiers.SharedClassifier(2, embedding_size=2, scale=10.0), [[1, 0], [0, 2]])
    np.testing.assert_allclose(layer(tf.constant([[3.0, 4.0]])), [[6.0, 8.0]], rtol=1e-6)


def test_plain_logits_are_the_released_codes_products_without_bias():
    layer = _set(
        classifiers.SharedClassifier(2, embedding_size=2, normalized=False), [[1, 0], [0, 2]]
    )
    np.testing.assert_allclose(layer(tf.constant([[3.0, 4.0], [0.0, 0.0]])), [[3, 8], [0, 0]])
    assert len(layer.weights) == 1


@pytest.mark.parametrize("normalized", [True, False])
def test_logits_equal_the_naive_loop(normalized):
    layer = classifiers.SharedClassifier(7, embedding_size=5, normalized=normalized)
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    expected = reference.shared_classifier(
        x, layer.kernel.numpy(), scale=layer.scale if normalized else None
    )
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_both_modalities_share_one_matrix():
    layer = classifiers.SharedClassifier(3, embedding_size=4)
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 4)), tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x)[:, 0] ** 2) + tf.reduce_sum(layer(2 * x + 1)[:, 1] ** 2)
    assert len(layer.trainable_variables) == 1
    gradient = tape.gradient(loss, layer.trainable_variables)[0].numpy()
    # Class 0 learns from the first call, class 1 from the second, class 2 from neither.
    assert np.abs(gradient[0]).max() > 0 and np.abs(gradient[1]).max() > 0
    np.testing.assert_array_equal(gradient[2], np.zeros(4))


def test_auto_scale_follows_the_number_of_classes():
    # sqrt(2) * ln(923) = 9.6555; two classes would give ln 1 = 0 and no gradient at all.
    assert classifiers.SharedClassifier(924, embedding_size=2).scale == pytest.approx(
        9.6555, abs=1e-3
    )
    assert classifiers.SharedClassifier(2, embedding_size=2).scale == 1.0


def test_weights_are_xavier_uniform_and_seeded():
    kernels = [
        classifiers.SharedClassifier(50, embedding_size=30, seed=s).kernel.numpy()
        for s in (1, 1, 2)
    ]
    # Glorot limit sqrt(6 / (50 + 30)) = 0.27386.
    limit = math.sqrt(6 / 80)
    assert 0.95 * limit < np.abs(kernels[0]).max() <= limit
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.1


def test_the_head_computes_in_float32_under_mixed_bfloat16():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = _set(
            classifiers.SharedClassifier(2, embedding_size=2, scale=10.0), [[1, 0], [1, 1e-2]]
        )
        logits = layer(tf.constant([[1.0, 0.0]], tf.bfloat16))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert logits.dtype == tf.float32
    # cos = 1 / sqrt(1 + 1e-4) = 1 - 5e-5: in bfloat16 both logits would be 10.
    np.testing.assert_allclose(logits[0, 0] - logits[0, 1], 5e-4, rtol=1e-2)


def test_the_kernel_is_found_by_its_structural_name():
    layer = classifiers.SharedClassifier(3, embedding_size=4)
    layer(tf.zeros([1, 4]))
    assert list(weights.named_weights(layer, "classifier")) == ["classifier/kernel"]


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"num_classes": 1}, "two identities"),
        ({"num_classes": 3, "scale": -1.0}, "scale=-1.0"),
        ({"num_classes": 3, "scale": "big"}, "'big'"),
        ({"num_classes": 3, "scale": 5.0, "normalized": False}, "normalized=True"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(arguments, says):
    with pytest.raises(registry.UserError, match=says):
        classifiers.SharedClassifier(embedding_size=4, **arguments)
