"""The rectifier with a learned slope: Keras's, and its gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import compat
from tfav.layers import prelu


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prelu_in_training_is_kerass_with_its_gradients(dtype):
    keras.mixed_precision.set_global_policy(dtype)
    try:
        own, theirs = prelu.PReLU(), keras.layers.PReLU(shared_axes=[1, 2])
        x = tf.constant(normal(4, 3, 5, 2), dtype)
        for layer in (own, theirs):
            layer.build((None, 3, 5, 2))
            layer.alpha.assign([[[0.25, -1.5]]])
    finally:
        keras.mixed_precision.set_global_policy("float32")
    upstream = tf.constant(normal(4, 3, 5, 2, seed=1), dtype)
    results = []
    for call in (lambda: own(x, training=True), lambda: theirs(x), lambda: own(x)):
        layer = theirs if len(results) == 1 else own
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call()
            loss = tf.reduce_sum(upstream * y)
        results.append((y, *tape.gradient(loss, [x, compat.raw(layer.alpha)])))
    for found, expected, outside in zip(*results):
        np.testing.assert_allclose(found, expected, atol=1e-6 if dtype == "float32" else 1e-13)
        np.testing.assert_allclose(outside, expected, atol=1e-6 if dtype == "float32" else 1e-13)
