import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfav import weights
from tfav.layers import residual, resnet_body


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def randomized(layer, x):
    """Builds a layer and gives every weight, batch norm statistics too, a value of its own."""
    layer(x)
    named = weights.named_weights(layer, "block")
    for i, (name, variable) in enumerate(sorted(named.items())):
        value = 0.3 * normal(*variable.shape, seed=i)
        variable.assign(1 + np.abs(value) if "variance" in name or "gamma" in name else value)
    return {name: variable.numpy().astype(np.float64) for name, variable in named.items()}


def conv(x, kernel, stride):
    """The naive loop over positions, symmetric zero padding."""
    kh, kw, _, filters = kernel.shape
    padded = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
    height, width = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    result = np.zeros((len(x), height, width, filters))
    for i in range(height):
        for j in range(width):
            patch = padded[:, i * stride : i * stride + kh, j * stride : j * stride + kw]
            result[:, i, j] = np.tensordot(patch, kernel, 3)
    return result


def norm(x, w, name):
    scale = w[f"{name}/gamma"] / np.sqrt(w[f"{name}/moving_variance"] + 1e-5)
    return (x - w[f"{name}/moving_mean"]) * scale + w[f"{name}/beta"]


def excite(x, w, bias):
    hidden = x.mean((1, 2)) @ w["block/se/squeeze/kernel"]
    hidden = np.maximum(hidden + (w["block/se/squeeze/bias"] if bias else 0), 0)
    gates = hidden @ w["block/se/excite/kernel"] + (w["block/se/excite/bias"] if bias else 0)
    return x / (1 + np.exp(-gates[:, None, None]))


@pytest.mark.parametrize("channels, stride", [(8, 1), (8, 2), (4, 1)])
def test_the_voice_block_is_conv_relu_norm_conv_norm_gate_sum_relu(channels, stride):
    x = normal(2, 5, 3, channels)
    layer = residual.SEBasicBlock(channels, 8, stride, itertools.count())
    w = randomized(layer, x)
    shortcut = x
    if (channels, stride) != (8, 1):
        shortcut = norm(conv(x, w["block/downsample/0/kernel"], stride), w, "block/downsample/1")
    y = norm(np.maximum(conv(x, w["block/conv1/kernel"], stride), 0), w, "block/bn1")
    y = excite(norm(conv(y, w["block/conv2/kernel"], 1), w, "block/bn2"), w, bias=True)
    np.testing.assert_allclose(layer(x), np.maximum(y + shortcut, 0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels, stride", [(8, 1), (8, 2), (4, 1)])
def test_the_basic_block_is_conv_norm_relu_conv_norm_sum_relu(channels, stride):
    x = normal(2, 5, 3, channels)
    layer = resnet_body.BasicBlock(channels, 8, stride, itertools.count())
    w = randomized(layer, x)
    shortcut = x
    if (channels, stride) != (8, 1):
        shortcut = norm(conv(x, w["block/downsample/0/kernel"], stride), w, "block/downsample/1")
    y = np.maximum(norm(conv(x, w["block/conv1/kernel"], stride), w, "block/bn1"), 0)
    y = norm(conv(y, w["block/conv2/kernel"], 1), w, "block/bn2")
    np.testing.assert_allclose(layer(x), np.maximum(y + shortcut, 0), rtol=1e-4, atol=1e-4)


def test_the_gains_of_a_basic_block_start_around_one():
    layer = resnet_body.BasicBlock(256, 512, 2, itertools.count())
    layer(normal(1, 2, 2, 256))
    gains = [norm.gamma.numpy() for norm in (layer.bn1, layer.bn2, layer.downsample[1])]
    assert np.std(gains) == pytest.approx(0.02, rel=0.1)  # 1536 draws: standard error 1.8 %
    assert np.mean(gains) == pytest.approx(1.0, abs=0.002)
    assert (gains[0] != gains[1]).any()


@pytest.mark.parametrize("se", [False, True])
@pytest.mark.parametrize("channels, stride", [(16, 1), (16, 2), (4, 2)])
def test_the_face_block_is_norm_conv_prelu_conv_norm_gate_sum(channels, stride, se):
    x = normal(2, 5, 4, channels)
    layer = residual.IRBlock(channels, 16, stride, se, itertools.count())
    w = {k.replace("se/0/", "se/"): v for k, v in randomized(layer, x).items()}
    shortcut = x[:, ::stride, ::stride]
    if channels != 16:
        shortcut = norm(conv(x, w["block/shortcut/0/kernel"], stride), w, "block/shortcut/1")
    y = conv(norm(x, w, "block/bn1"), w["block/conv1/kernel"], 1)
    y = np.where(y > 0, y, w["block/prelu/alpha"] * y)
    y = norm(conv(y, w["block/conv2/kernel"], stride), w, "block/bn2")
    y = excite(y, w, bias=False) if se else y
    np.testing.assert_allclose(layer(x), y + shortcut, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block", [residual.SEBasicBlock, resnet_body.BasicBlock])
@pytest.mark.parametrize("length", [1, 2, 5, 6])
@pytest.mark.parametrize("stride", [1, 2])
def test_what_pads_a_clip_never_enters_a_block_of_sound(block, length, stride):
    x = normal(1, length, 4, 8)
    layer = block(8, 8, stride, itertools.count())
    randomized(layer, x)
    garbage = np.concatenate([x, 100 * normal(1, 4, 4, 8, seed=1)], axis=1)
    valid = tf.reshape(tf.constant([1.0] * length + [0.0] * 4), [1, -1, 1, 1])
    alone = layer(x)
    padded = layer(garbage, valid)[:, : alone.shape[1]]
    np.testing.assert_allclose(padded, alone, rtol=1e-4, atol=1e-4)
