"""The end of every encoder."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import weights
from tfav.layers import tail


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def test_the_tail_is_norm_relu_dense_dropout_without_bias():
    layer = tail.Tail(1, dropout=0.5, seeds=itertools.count())
    x = np.array([[2.0, -3.0]], np.float32)
    layer(x)
    names = weights.named_weights(layer, "tail")
    assert [name for name in names if name.startswith("tail/dense")] == ["tail/dense/kernel"]
    names["tail/dense/kernel"].assign([[10.0], [100.0]])
    # Fresh norm: x / sqrt(1 + 1e-5); ReLU drops -3; 10 * 2.
    np.testing.assert_allclose(layer(x), [[20.0]], rtol=1e-4)
    assert float(layer(x, training=True)[0, 0]) == pytest.approx(0.0, abs=1e-6)  # norm of one row


def test_the_tail_stays_in_float32_under_bfloat16():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = tail.Tail(3, dropout=0.5, seeds=itertools.count())
        result = layer(tf.cast(normal(4, 8), tf.bfloat16), training=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert result.dtype == tf.float32
