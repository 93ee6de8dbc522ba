import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import replicas
from tfav import compat, weights
from tfav.layers import normalization


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def train(layer, x, upstream):
    """Returns the output, and the gradients of `sum(upstream * output)` at x, gamma and beta."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(upstream * y)
    return y, tape.gradient(loss, [x, compat.raw(layer.gamma), compat.raw(layer.beta)])


def test_statistics_of_two_replicas_are_those_of_the_global_batch(mirrored):
    # Rows 0, 0 | 4, 4: global mean 2, variance 4; alone each replica would have variance 0.
    x = np.array([[0.0], [0.0], [4.0], [4.0]], np.float32)
    with mirrored.scope():
        layer = normalization.BatchNorm(epsilon=0.0)
        layer(x)
    rows = replicas.halves(mirrored, x)
    result = mirrored.run(tf.function(lambda x: layer(x, training=True)), args=(rows,))
    result = replicas.joined(mirrored, result)
    np.testing.assert_allclose(result, [[-1.0], [-1.0], [1.0], [1.0]], rtol=1e-6)
    # Moving statistics: 0.9 * 0 + 0.1 * 2 and 0.9 * 1 + 0.1 * 4.
    np.testing.assert_allclose(layer.moving_mean.numpy(), [0.2], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), [1.3], rtol=1e-6)


def test_two_replicas_have_the_gradients_of_one(mirrored, float64):
    x, upstream = normal(6, 5, 3).astype(float), normal(6, 5, 3, seed=1).astype(float)
    one = normalization.BatchNorm()
    one.build((None, None, 3))
    with mirrored.scope():
        two = normalization.BatchNorm()
        two.build((None, None, 3))
    y, (at_x, *at_weights) = train(one, tf.constant(x), tf.constant(upstream))
    halves = (replicas.halves(mirrored, v) for v in (x, upstream))
    step = tf.function(lambda x, upstream: train(two, x, upstream))
    found, (parts, *shares) = mirrored.run(step, args=tuple(halves))
    np.testing.assert_allclose(replicas.joined(mirrored, found), y, atol=1e-12)
    np.testing.assert_allclose(replicas.joined(mirrored, parts), at_x, atol=1e-12)
    for share, whole in zip(shares, at_weights):
        np.testing.assert_allclose(replicas.summed(mirrored, share), whole, atol=1e-12)


def test_it_computes_what_keras_own_layer_does():
    x, upstream = tf.constant(normal(4, 5, 3) + 0.5), tf.constant(normal(4, 5, 3, seed=1))
    own = normalization.BatchNorm()
    theirs = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9)
    for layer in (own, theirs):
        layer.build((None, None, 3))
        layer.gamma.assign([1.0, 2.0, -0.5])
        layer.beta.assign([0.1, 0.2, 0.3])
    found, gradients = train(own, x, upstream)
    expected, at = train(theirs, x, upstream)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for gradient, other in zip(gradients, at):
        np.testing.assert_allclose(gradient, other, atol=1e-4)
    np.testing.assert_allclose(own.moving_mean.numpy(), theirs.moving_mean.numpy(), atol=1e-6)
    np.testing.assert_allclose(own(x), theirs(x), atol=1e-2)  # Keras 2 counts n - 1 in its variance


def test_a_mean_that_is_large_beside_its_deviation_does_not_cancel(mirrored):
    # Deviation 1 around 3000: E(x^2) - E(x)^2 in float32 is off by more than the variance itself.
    x = 3000.0 + normal(64, 1)
    deviation = x.astype(np.float64).std()
    mean, variance = normalization.global_moments(tf.constant(x))
    assert float(variance[0]) == pytest.approx(deviation**2, rel=1e-4)
    rows = replicas.halves(mirrored, x)
    _, both = mirrored.run(tf.function(normalization.global_moments), args=(rows,))
    for found in mirrored.experimental_local_results(both):
        assert float(found[0]) == pytest.approx(deviation**2, rel=1e-4)
    naive = np.mean(x**2, dtype=np.float32) - np.mean(x, dtype=np.float32) ** 2
    assert abs(naive / deviation**2 - 1) > 0.02  # what the formula is for


def test_outside_training_it_uses_what_it_has_seen_and_moves_nothing():
    layer = normalization.BatchNorm(epsilon=0.0)
    layer.build((None, 1))
    layer.moving_mean.assign([2.0])
    layer.moving_variance.assign([4.0])
    layer.gamma.assign([3.0])
    layer.beta.assign([1.0])
    np.testing.assert_allclose(layer(np.array([[4.0]], np.float32)), [[4.0]])  # 3 (4 - 2) / 2 + 1
    assert layer.moving_mean.numpy() == 2.0 and layer.moving_variance.numpy() == 4.0


def test_weights_have_the_names_that_older_files_hold():
    layer = normalization.BatchNorm()
    layer(normal(2, 3))
    named = weights.named_weights(layer, "bn")
    assert list(named) == [f"bn/{n}" for n in ("gamma", "beta", "moving_mean", "moving_variance")]
    assert [v.trainable for v in named.values()] == [True, True, False, False]


def test_under_bfloat16_statistics_and_weights_stay_in_float32():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer, whole = normalization.BatchNorm(), normalization.BatchNorm(dtype="float32")
        x = tf.cast(1.0 + 1e-2 * normal(32, 3), tf.bfloat16)
        outputs = layer(x, training=True), whole(x, training=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert [y.dtype for y in outputs] == [tf.bfloat16, tf.float32]
    exact = np.asarray(x, np.float32).mean(axis=0)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.1 * exact, rtol=1e-5)
    assert all(compat.raw(w).dtype == tf.float32 for w in layer.weights)


@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (7, 5, 3), (8, 3), (1, 1, 1, 3)])
def test_the_fused_kernels_compute_the_formula(shape):
    x, upstream = tf.constant(normal(*shape) + 0.5), tf.constant(normal(*shape, seed=1))
    layer = normalization.BatchNorm()
    layer.build((None, shape[-1]))
    layer.gamma.assign([1.0, 2.0, -0.5])
    layer.beta.assign([0.1, 0.2, 0.3])
    gamma, beta = compat.raw(layer.gamma), compat.raw(layer.beta)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, mean, variance = normalization._normalize(x, gamma, beta, layer.epsilon)
        loss = tf.reduce_sum(upstream * y)
    expected = tape.gradient(loss, [x, gamma, beta])
    found, gradients = train(layer, x, upstream)
    np.testing.assert_allclose(found, y, atol=1e-5)
    for gradient, other in zip(gradients, expected):
        np.testing.assert_allclose(gradient, other, atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.1 * mean, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.9 + 0.1 * variance, atol=1e-6)


@pytest.mark.parametrize("static", [True, False])
def test_a_batch_whose_size_the_graph_does_not_know_moves_the_same_statistics(static):
    x = normal(6, 5, 4, 3)
    layer = normalization.BatchNorm()
    layer.build((None, 3))
    shape = x.shape if static else [None, None, None, 3]
    spec = [tf.TensorSpec(shape, tf.float32)]
    tf.function(lambda x: layer(x, training=True), input_signature=spec)(x)
    variance = x.reshape(-1, 3).var(axis=0)  # biased
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.9 + 0.1 * variance, rtol=1e-5)


def test_two_replicas_have_the_gradients_of_one_by_the_fused_kernels_too(mirrored):
    x, upstream = 1.0 + normal(6, 5, 4, 3), normal(6, 5, 4, 3, seed=1)
    one = normalization.BatchNorm()
    one.build((None, 3))
    with mirrored.scope():
        two = normalization.BatchNorm()
        two.build((None, 3))
    y, (at_x, *at_weights) = train(one, tf.constant(x), tf.constant(upstream))
    halves = tuple(replicas.halves(mirrored, v) for v in (x, upstream))
    step = tf.function(lambda x, upstream: train(two, x, upstream))
    found, (parts, *shares) = mirrored.run(step, args=halves)
    np.testing.assert_allclose(replicas.joined(mirrored, found), y, atol=1e-5)
    np.testing.assert_allclose(replicas.joined(mirrored, parts), at_x, atol=1e-5)
    for share, whole in zip(shares, at_weights):
        np.testing.assert_allclose(replicas.summed(mirrored, share), whole, atol=1e-4)
    for name in ("moving_mean", "moving_variance"):
        of_two = getattr(two, name).numpy()
        np.testing.assert_allclose(of_two, getattr(one, name).numpy(), atol=1e-6)
