import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tfav.losses import multimodal, softmax


def _worked():
    audio, visual = tf.constant([[3.0, 4.0]]), tf.constant([[0.0, 2.0]])
    weights = [
        tf.constant([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]]),
        tf.constant([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0]]),
    ]
    return audio, visual, weights


@pytest.mark.parametrize("scale, expected", [(2.0, 0.1852822), (10.0, 3.354064e-4)])
def test_the_worked_example_of_three_classes(scale, expected):
    # cos(audio) = (3, 4, -3) / 5, cos(visual) = (1, 0, -1): fused (1.6, 0.8, -1.6) * scale.
    audio, visual, weights = _worked()
    logits = multimodal.cosine_logits([audio, visual], weights, scale)
    np.testing.assert_allclose(logits[0], scale * np.array([[0.6, 0.8, -0.6]]), rtol=1e-6)
    np.testing.assert_allclose(logits[1], scale * np.array([[1.0, 0.0, -1.0]]), rtol=1e-6)
    loss = softmax.cross_entropy(sum(logits), [0])
    np.testing.assert_allclose(loss, [expected], rtol=1e-3 if scale == 10 else 1e-6)


@pytest.mark.parametrize("name", ["ssos_mmcosine_a.npz", "ssos_mmcosine_b.npz"])
def test_cosine_head_equals_the_released_code(golden, name):
    g = golden(name)
    audio, visual, kernel = (tf.constant(g[k]) for k in ("mm_audio", "mm_visual", "mm_weights"))
    with tf.GradientTape() as tape:
        tape.watch([audio, visual, kernel])
        logits = multimodal.cosine_logits(
            [audio, visual], tf.split(kernel, 2, axis=1), float(g["mm_scale"])
        )
        loss = tf.reduce_mean(softmax.cross_entropy(sum(logits), g["mm_labels"]))
    np.testing.assert_allclose(logits[0], g["mm_logits_audio"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(logits[1], g["mm_logits_visual"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loss, g["mm_loss"], rtol=1e-5)
    gradients = tape.gradient(loss, [audio, visual, kernel])
    for gradient, key in zip(gradients, ["audio", "visual", "weights"]):
        expected = g[f"mm_grad_{key}"]
        assert np.abs(gradient - expected).max() <= 1e-4 * np.abs(expected).max()


def test_three_modalities_equal_the_naive_loop():
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(4, d)) for d in (3, 5, 2)]
    weights = [rng.normal(size=(6, d)) for d in (3, 5, 2)]
    logits = multimodal.cosine_logits(features, weights, 4.0)
    for value, expected in zip(logits, reference.cosine_logits(features, weights, 4.0)):
        np.testing.assert_allclose(value, expected, atol=1e-5)
    assert np.abs(sum(logits)).max() <= 3 * 4.0


def test_the_length_of_any_feature_or_class_row_does_not_matter():
    audio, visual, weights = _worked()
    one = sum(multimodal.cosine_logits([audio, visual], weights, 10.0))
    stretch = np.array([[0.1], [3.0], [50.0]], np.float32)
    other = multimodal.cosine_logits(
        [7 * audio, 0.2 * visual], [weights[0] * stretch, weights[1] * stretch[::-1]], 10.0
    )
    np.testing.assert_allclose(sum(other), one, atol=1e-5)


def test_the_gradient_of_a_feature_is_orthogonal_to_it():
    audio, visual, weights = _worked()
    with tf.GradientTape() as tape:
        tape.watch(audio)
        logits = multimodal.cosine_logits([audio, visual], weights, 2.0)
        loss = tf.reduce_sum(softmax.cross_entropy(sum(logits), [0]))
    gradient = tape.gradient(loss, audio).numpy()
    assert np.abs(gradient).max() > 1e-3
    np.testing.assert_allclose(np.sum(gradient * audio), 0.0, atol=1e-6)


def test_a_zero_feature_gives_zero_logits_and_a_bfloat16_one_gives_float32():
    _, visual, weights = _worked()
    logits = multimodal.cosine_logits(
        [tf.zeros([1, 2], tf.bfloat16), tf.cast(visual, tf.bfloat16)], weights, 10.0
    )
    np.testing.assert_array_equal(logits[0], np.zeros([1, 3]))
    assert all(z.dtype == tf.float32 for z in logits)


def test_one_matrix_per_modality_is_required():
    audio, visual, weights = _worked()
    with pytest.raises(ValueError, match="2 features and 1 weight"):
        multimodal.cosine_logits([audio, visual], weights[:1], 1.0)
