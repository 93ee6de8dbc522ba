import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfav import weights
from tfav.layers import pooling


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def test_mean_and_deviation_of_sound_frames_by_hand():
    x = np.array([[[1.0], [5.0], [99.0]]], np.float32)
    valid = tf.constant([[[1.0], [1.0], [0.0]]])
    np.testing.assert_allclose(pooling.mean(x, valid), [[3.0]])
    # Mean of 1 and 5 is 3, deviation sqrt((4 + 4) / 2) = 2.
    np.testing.assert_allclose(pooling.mean_and_deviation(x, valid), [[3.0, 2.0]], rtol=1e-6)
    np.testing.assert_allclose(pooling.mean_and_deviation(x[:, :2]), [[3.0, 2.0]], rtol=1e-6)


def test_the_gradient_of_a_constant_clip_is_finite():
    x = tf.Variable(tf.ones([1, 4, 2]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(pooling.mean_and_deviation(x))
    assert np.isfinite(tape.gradient(loss, x)).all()


def test_self_attentive_pooling_equals_its_naive_twin():
    layer = pooling.SelfAttentivePooling(3, itertools.count())
    x = normal(2, 5, 3)
    layer(x)
    w = {k: v.numpy().astype(np.float64) for k, v in weights.named_weights(layer, "sap").items()}
    expected = np.zeros((2, 3))
    for b in range(2):
        score = []
        for t in range(5):
            h = np.tanh(x[b, t] @ w["sap/linear/kernel"] + w["sap/linear/bias"])
            score.append(float(h @ w["sap/context/kernel"][:, 0]))
        alpha = np.exp(score) / np.exp(score).sum()
        expected[b] = sum(alpha[t] * x[b, t] for t in range(5))
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("deviation", [False, True])
def test_channel_attention_gives_weighted_moments(deviation):
    layer = pooling.ChannelAttentivePooling(3, 2, deviation, itertools.count())
    x = normal(2, 5, 3)
    layer(x)
    w = {k: v.numpy().astype(np.float64) for k, v in weights.named_weights(layer, "asp").items()}
    hidden = np.maximum(x @ w["asp/squeeze/kernel"] + w["asp/squeeze/bias"], 0) / np.sqrt(1 + 1e-5)
    score = hidden @ w["asp/attend/kernel"]
    alpha = np.exp(score) / np.exp(score).sum(1, keepdims=True)
    mean = expected = (alpha * x).sum(1)
    if deviation:
        spread = np.sqrt((alpha * (x - mean[:, None]) ** 2).sum(1))
        expected = np.concatenate([mean, spread], axis=1)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "pool",
    [
        pooling.mean,
        pooling.mean_and_deviation,
        pooling.SelfAttentivePooling(3, itertools.count()),
        pooling.ChannelAttentivePooling(3, 2, False, itertools.count()),
        pooling.ChannelAttentivePooling(3, 2, True, itertools.count()),
    ],
    ids=["mean", "deviation", "sap", "channel-sap", "channel-asp"],
)
def test_frames_after_the_sound_never_count(pool):
    x = normal(2, 7, 3)
    valid = tf.constant([[1.0] * 4 + [0.0] * 3, [1.0] * 7])[:, :, None]
    pooled = pool(x, valid)
    np.testing.assert_allclose(pooled[:1], pool(x[:1, :4]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pooled[1:], pool(x[1:]), rtol=1e-5, atol=1e-6)
