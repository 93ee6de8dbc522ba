"""Every row of `ALIGNMENT` keeps the promises of a loss."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tests.conformance import replicas, walk
from tfav.losses import alignment

HAS_ADDONS = importlib.util.find_spec("tensorflow_addons") is not None
TWINS = [name for name in alignment.ALIGNMENT if hasattr(reference, name)]
ROWS = [name for name in TWINS if HAS_ADDONS or name not in alignment.ADDONS]
# Distinct identities, as the reader feeds them, and a batch that repeats some, over both halves.
LABELS = [np.array([3, 0, 7, 5], np.int32), np.array([3, 0, 3, 0], np.int32)]


def _inputs(seed=0, size=3):
    audio, image = np.random.default_rng(seed).normal(size=(2, 4, size))
    return audio.astype(np.float32), image.astype(np.float32)


def _value_and_gradients(loss, audio, image, label, num_rows=None):
    """Sum of the rows over the global batch and its gradients, as a recipe would take them."""
    audio, image = tf.convert_to_tensor(audio), tf.convert_to_tensor(image)
    with tf.GradientTape() as tape:
        tape.watch([audio, image])
        rows = loss(audio, image, tf.convert_to_tensor(label))
        value = tf.reduce_sum(rows) / (num_rows or len(label))
    return [rows, *tape.gradient(value, [audio, image])]


def test_every_row_has_a_twin():
    add = "write its equation as a naive NumPy loop of the same arguments: ROW in reference.py."
    walk.check_complete(alignment.ALIGNMENT, TWINS, "ALIGNMENT", add)


@pytest.mark.parametrize("name", TWINS)
def test_the_twin_has_the_same_arguments(name):
    twin, loss = getattr(reference, name), alignment.ALIGNMENT[name]
    names = [f.__code__.co_varnames[: f.__code__.co_argcount] for f in (twin, loss)]
    assert names[0] == names[1]
    assert twin.__defaults__ == loss.__defaults__


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", ROWS)
def test_the_loss_equals_its_twin(name, label):
    audio, image = _inputs()
    rows = alignment.ALIGNMENT[name](audio, image, label)
    assert rows.shape == [4] and rows.dtype == tf.float32
    np.testing.assert_allclose(
        rows, getattr(reference, name)(audio, image, label), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", ROWS)
def test_the_gradient_equals_finite_differences_of_the_twin(name, label):
    audio, image = _inputs()
    twin = getattr(reference, name)
    _, by_audio, by_image = _value_and_gradients(alignment.ALIGNMENT[name], audio, image, label)
    expected = reference.numeric_gradient(lambda x: np.mean(twin(x, image, label)), audio)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(by_audio, expected, rtol=1e-4, atol=1e-5)
    expected = reference.numeric_gradient(lambda x: np.mean(twin(audio, x, label)), image)
    np.testing.assert_allclose(by_image, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_bfloat16_embeddings_are_computed_in_float32(name):
    audio, image = (tf.cast(x, tf.bfloat16) for x in _inputs())
    loss = alignment.ALIGNMENT[name]
    rows, by_audio, by_image = _value_and_gradients(loss, audio, image, LABELS[0])
    assert rows.dtype == tf.float32
    assert all(np.isfinite(tf.cast(x, tf.float32)).all() for x in (by_audio, by_image))
    # The same numbers, given as float32: nothing was rounded on the way.
    same = loss(tf.cast(audio, tf.float32), tf.cast(image, tf.float32), LABELS[0])
    np.testing.assert_array_equal(rows, same)


@pytest.mark.parametrize("scale", [0.0, 1e-15, 1e4, 1e12])
@pytest.mark.parametrize("name", ROWS)
def test_value_and_gradient_are_finite_for_any_norm(name, scale):
    audio, image = _inputs()
    for a, b in [(scale * audio, image), (audio, scale * image), (scale * audio, scale * image)]:
        for x in _value_and_gradients(alignment.ALIGNMENT[name], a, b, LABELS[0]):
            assert np.isfinite(x).all()


@pytest.mark.parametrize("label", [np.array([2], np.int32), np.array([6, 6, 6, 6], np.int32)])
@pytest.mark.parametrize("name", ROWS)
def test_one_row_or_one_identity_gives_a_finite_value_and_gradient(name, label):
    audio, image = (x[: len(label)] for x in _inputs())
    rows, *gradients = _value_and_gradients(alignment.ALIGNMENT[name], audio, image, label)
    expected = getattr(reference, name)(audio, image, label)
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-5)
    assert all(np.isfinite(x).all() for x in gradients if x is not None)


@pytest.mark.parametrize("name", ROWS)
def test_a_graph_of_unknown_batch_size_equals_eager(name):
    audio, image = _inputs()
    loss = alignment.ALIGNMENT[name]
    graph = tf.function(
        lambda a, b, y: _value_and_gradients(loss, a, b, y, num_rows=4),
        input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([None, 3])]
        + [tf.TensorSpec([None], tf.int32)],
    )
    for value, expected in zip(
        graph(audio, image, LABELS[0]), _value_and_gradients(loss, audio, image, LABELS[0])
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", ROWS)
def test_two_replicas_equal_one_in_value_and_gradient(name, label, mirrored):
    """Negatives of the own replica alone, or gathered without a gradient, fail here."""
    audio, image = _inputs()
    loss = alignment.ALIGNMENT[name]

    def step(*batch):
        return mirrored.run(lambda *x: _value_and_gradients(loss, *x, num_rows=4), args=batch)

    halves = [replicas.halves(mirrored, x) for x in (audio, image, label)]
    expected = _value_and_gradients(loss, audio, image, label)
    for value, one in zip(tf.function(step)(*halves), expected):
        np.testing.assert_allclose(replicas.joined(mirrored, value), one, rtol=1e-5, atol=1e-6)
