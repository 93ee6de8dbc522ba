"""Margins: the worked equations, the warm-up, several centres per class, and what Keras saves."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfav.layers
from tests import reference
from tests.conformance import replicas
from tfav import registry, weights
from tfav.layers import classifiers, margins, shared_classifier
from tfav.losses import softmax

ANGLE = math.asin(0.6)  # of the triangle 3, 4, 5: its cosine is 0.8


def test_the_angular_margin_of_the_triangle_3_4_5_turns_0_6_into_0():
    # cos(theta) = 0.6, sin(theta) = 0.8: 0.6 * 0.8 - 0.8 * 0.6 = 0.
    found = margins.additive_angular(tf.constant([0.6, 1.0]), tf.constant(ANGLE, tf.float32))
    np.testing.assert_allclose(found, [0.0, 0.8], atol=1e-6)


def test_past_pi_the_angular_margin_goes_on_falling():
    # theta + m passes pi at cos(theta) = -0.8. Beyond: -0.9 - 0.6435 * 0.6 = -1.2861, and at the
    # opposite pole -1.3861; before it, at -0.7: -0.56 - 0.71414 * 0.6 = -0.98849.
    cosine, margin = tf.constant([-0.7, -0.9, -1.0]), tf.constant(ANGLE, tf.float32)
    expected = [-0.988486, -1.286101, -1.386101]
    np.testing.assert_allclose(margins.additive_angular(cosine, margin), expected, atol=1e-5)


def _worked(**margin):
    """The worked example of two modalities, s = 2: cosines (.6, .8, -.6) and (1, 0, -1)."""
    head = classifiers.CosineClassifier(3, {"audio": 2, "image": 2}, scale=2.0)
    head.kernel.assign([[1, 0, 0, 1], [0, 2, 1, 0], [-1, 0, 0, -1]])
    logits = head({"audio": tf.constant([[3.0, 4.0]]), "image": tf.constant([[0.0, 2.0]])})
    harder = margins.Margin(2.0, **margin)(logits, tf.constant([0]), training=True)
    return logits, harder, softmax.cross_entropy(tf.add_n(list(harder.values())), [0])


def test_the_worked_example_with_the_margin_of_cosface():
    # Fused: 2 * (1.6 - 2 * 0.35) = 1.8 against 1.6 and -3.2: ln(1 + e^-0.2 + e^-5) = 0.601837.
    logits, harder, loss = _worked(kind="additive_cosine", margin=0.35)
    np.testing.assert_allclose(harder["audio"], [[0.5, 1.6, -1.2]], atol=1e-6)
    np.testing.assert_allclose(harder["image"], [[1.3, 0.0, -2.0]], atol=1e-6)
    np.testing.assert_allclose(loss, [0.601837], rtol=1e-5)
    np.testing.assert_allclose(logits["audio"], [[1.2, 1.6, -1.2]], atol=1e-6)


def test_the_worked_example_with_the_margin_of_arcface():
    # 0.6 turns into 0 and 1 into 0.8: fused 1.6 against 1.6 and -3.2: ln(2 + e^-4.8) = 0.697253.
    _, harder, loss = _worked(kind="additive_angular", margin=ANGLE)
    np.testing.assert_allclose(harder["audio"], [[0.0, 1.6, -1.2]], atol=1e-6)
    np.testing.assert_allclose(harder["image"], [[1.6, 0.0, -2.0]], atol=1e-6)
    np.testing.assert_allclose(loss, [0.697253], rtol=1e-5)


@pytest.mark.parametrize("kind", margins.MARGINS)
def test_loss_and_gradient_of_the_shared_head_equal_the_twin(kind):
    rng = np.random.default_rng(0)
    head = shared_classifier.SharedClassifier(5, embedding_size=3, scale=6.0)
    x, label = rng.normal(size=(4, 3)), np.array([0, 3, 3, 1], np.int32)
    kernel = head.kernel.numpy().astype(np.float64)

    def twin(value):
        logits = reference.shared_classifier(value, kernel, scale=6.0)
        logits = reference.with_margin(logits, label, 6.0, 0.4, getattr(reference, kind))
        return reference.cross_entropy(logits, label)

    layer, given = margins.Margin(6.0, kind=kind, margin=0.4), tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        rows = softmax.cross_entropy(layer({"x": head(given)}, label, training=True)["x"], label)
    np.testing.assert_allclose(rows, twin(x), rtol=1e-4)
    expected = reference.numeric_gradient(lambda value: twin(value).sum(), x)
    np.testing.assert_allclose(tape.gradient(rows, given), expected, rtol=1e-3, atol=1e-4)


def test_the_margin_grows_with_the_training_calls_and_with_no_other():
    layer = margins.Margin(1.0, kind="additive_cosine", margin=0.4, warmup_steps=4)
    logits, label = {"a": tf.constant([[0.5, 0.0]])}, tf.constant([0])
    taken = []
    for _ in range(6):
        np.testing.assert_array_equal(layer(logits, label)["a"], [[0.5, 0.0]])
        now = float(layer.current())
        taken.append(float(0.5 - layer(logits, label, training=True)["a"][0, 0]))
        assert taken[-1] == pytest.approx(now, abs=1e-6)
    np.testing.assert_allclose(taken, [0.0, 0.1, 0.2, 0.3, 0.4, 0.4], atol=1e-6)
    assert list(weights.named_weights(layer, "margin")) == ["margin/steps"]
    assert layer.trainable_weights == []


def test_several_modalities_are_one_step_and_so_are_two_replicas(mirrored):
    logits, label = np.zeros([2, 3], np.float32), np.array([0, 1], np.int32)
    with mirrored.scope():
        layer = margins.Margin(1.0, kind="additive_cosine", margin=0.4, warmup_steps=4)

    def step(z, y):
        return layer({"audio": z, "image": z}, y, training=True)["image"]

    halves = replicas.halves(mirrored, logits), replicas.halves(mirrored, label)
    for expected in (0.0, -0.1, -0.2):
        found = replicas.joined(mirrored, mirrored.run(step, args=halves))
        np.testing.assert_allclose([found[0, 0], found[1, 1]], [expected] * 2, atol=1e-6)
    assert int(layer.steps.numpy()) == 3


def test_a_keras_model_with_a_margin_comes_back_with_its_steps(tmp_path):
    x, label = keras.Input((3,)), keras.Input((), dtype="int32")
    logits = tfav.layers.SharedClassifier(4, embedding_size=3, scale=5.0, sub_centers=2)(x)
    margin = tfav.layers.Margin(5.0, kind="additive_angular", margin=0.5, warmup_steps=3)
    model = keras.Model([x, label], margin({"z": logits}, label)["z"])
    given = [np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32), np.array([0, 2])]
    model(given, training=True)
    model(given, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for training in (False, True):
        np.testing.assert_array_equal(
            loaded(given, training=training), model(given, training=training)
        )
    assert int(margin.steps.numpy()) == 3
    again = tfav.layers.Margin.from_config(margin.get_config())
    assert (again.margin, again.warmup_steps, again.scale) == (0.5, 3, 5.0)


def test_it_computes_in_float32_under_mixed_bfloat16():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = margins.Margin(2.0, kind="additive_cosine", margin=0.001)
        harder = layer({"a": tf.constant([[1.0, 0.0]])}, tf.constant([0]), training=True)["a"]
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert harder.dtype == tf.float32
    np.testing.assert_allclose(harder, [[0.998, 0.0]], atol=1e-6)  # 1 in bfloat16


@pytest.mark.parametrize(
    "arguments, says",
    [
        (
            {"kind": "arc"},
            "unknown margin_kind 'arc': choose one of additive_angular, additive_cos",
        ),
        ({"margin": -0.1}, r"margin=-0.1: give a number from 0 to 1.5"),
        ({"margin": 1.6}, "margin=1.6"),
        ({"margin": math.nan}, "margin=nan"),
        ({"scale": 0.0}, "scale=0.0"),
        ({"warmup_steps": -1}, "margin_warmup_steps=-1"),
    ],
)
def test_a_margin_that_makes_no_sense_is_named(arguments, says):
    with pytest.raises(registry.UserError, match=says):
        margins.Margin(**{"scale": 2.0, "kind": "additive_cosine", "margin": 0.1, **arguments})


# Several centres per class ----------------------------------------------------------------------


def test_of_several_centres_the_nearest_one_counts_and_alone_learns():
    # Class 0 has centres (1, 0) and (0, 1), class 1 has (-1, 0) and (0, -1); x = (3, 4), s = 10:
    # cosines 0.6, 0.8 and -0.6, -0.8.
    head = shared_classifier.SharedClassifier(2, embedding_size=2, scale=10.0, sub_centers=2)
    head.kernel.assign([[1, 0], [0, 1], [-1, 0], [0, -1]])
    np.testing.assert_allclose(head(tf.constant([[3.0, 4.0]])), [[8.0, -6.0]], rtol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head(tf.constant([[3.0, 4.0]])))
    gradient = tape.gradient(loss, head.trainable_variables)[0].numpy()
    moved = np.abs(gradient).max(axis=1) > 1e-3
    assert moved.tolist() == [False, True, True, False]


def test_several_centres_equal_the_naive_loop_on_both_heads():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 3)).astype(np.float32)
    shared = shared_classifier.SharedClassifier(5, embedding_size=3, scale=6.0, sub_centers=3)
    expected = reference.sub_center_logits(x, shared.kernel.numpy(), 3, 6.0)
    np.testing.assert_allclose(shared(x), expected, rtol=1e-4, atol=1e-5)
    sizes = {"audio": 3, "image": 2}
    head = classifiers.CosineClassifier(5, sizes, scale=4.0, sub_centers=3)
    assert head.kernel.shape == (15, 5)
    found = head({"audio": x, "image": x[:, :2]})
    for modality, columns in (("audio", slice(0, 3)), ("image", slice(3, 5))):
        part = head.kernel.numpy()[:, columns]
        expected = reference.sub_center_logits(x[:, : part.shape[1]], part, 3, 4.0)
        np.testing.assert_allclose(found[modality], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda k: shared_classifier.SharedClassifier(3, embedding_size=2, sub_centers=k),
        lambda k: classifiers.CosineClassifier(3, {"audio": 2}, scale=2.0, sub_centers=k),
    ],
)
def test_no_centre_at_all_is_refused(make):
    with pytest.raises(registry.UserError, match="sub_centers=0: give the number of centres"):
        make(0)


def test_several_centres_of_plain_vectors_are_refused():
    with pytest.raises(registry.UserError, match="sub_centers=2 needs normalized=True"):
        shared_classifier.SharedClassifier(3, embedding_size=2, normalized=False, sub_centers=2)
