import numpy as np
import pytest
import tensorflow as tf

from tfav import compat, weights
from tfav.layers import blocks


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def test_a_strided_convolution_pads_both_sides():
    # Sum of three neighbours at positions 0 and 2 of 1 2 3 4, one zero outside: 0+1+2 and 2+3+4.
    # TensorFlow's SAME would start at position 1: 1+2+3 and 3+4+0.
    layer = blocks.Conv(1, (3, 1), (2, 1), seed=0)
    x = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0]), [1, 4, 1, 1])
    layer(x)
    layer.kernel.assign(tf.ones([3, 1, 1, 1]))
    np.testing.assert_allclose(tf.reshape(layer(x), [-1]), [3.0, 9.0])


@pytest.mark.parametrize("kernel, stride", [(1, 1), (1, 2), (3, 1), (3, 2), (5, 2), (7, 3)])
@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_masked_padding_acts_like_the_end_of_the_clip(kernel, stride, length):
    layer = blocks.Conv(4, (kernel, kernel), (stride, stride), seed=1)
    x = normal(1, length, 6, 2)
    alone = layer(x)
    garbage = np.concatenate([x, 100 * normal(1, 5, 6, 2, seed=1)], axis=1)
    valid = tf.reshape(tf.constant([1.0] * length + [0.0] * 5), [1, -1, 1, 1])
    sound = int(tf.reduce_sum(blocks.subsample(valid, stride)))
    assert alone.shape[1] == sound == -(-length // stride)
    np.testing.assert_allclose(layer(garbage, valid)[:, :sound], alone, atol=1e-5)


def test_a_convolution_adds_its_bias_only_if_it_has_one():
    layer = blocks.Conv(2, (3, 3), seed=0, use_bias=True)
    x = np.zeros([1, 2, 2, 1], np.float32)
    np.testing.assert_array_equal(layer(x), np.zeros([1, 2, 2, 2]))  # zero at first
    layer.bias.assign([1.0, -2.0])
    np.testing.assert_array_equal(layer(x), np.broadcast_to([1.0, -2.0], [1, 2, 2, 2]))
    without = blocks.Conv(2, (3, 3), seed=0)
    without(x)
    assert list(weights.named_weights(without, "conv")) == ["conv/kernel"]


def test_kaiming_normal_weights_have_the_deviation_of_their_fan_out():
    layer = blocks.Conv(64, (3, 3), seed=0, init="kaiming_normal")
    layer(np.zeros([1, 4, 4, 32], np.float32))
    # sqrt(2 / (64 * 9)) = 0.0589; 18432 draws: standard error 0.5 %
    assert np.std(layer.kernel.numpy()) == pytest.approx(0.0589, rel=0.02)
    assert np.abs(layer.kernel.numpy()).max() > 3 * 0.0589  # not truncated at two deviations


def test_max_pools_by_hand():
    x = np.array([1.0, 5.0, 2.0, 3.0, 4.0], np.float32).reshape(1, 5, 1, 1)
    # Size 3 with a border: max(_, 1, 5), max(5, 2, 3), max(3, 4, _); size 2: (1, 5), (2, 3), (4).
    np.testing.assert_array_equal(tf.reshape(blocks.max_pool(x, 3), [-1]), [5, 5, 4])
    np.testing.assert_array_equal(tf.reshape(blocks.max_pool(x[:, :4], 3), [-1]), [5, 5])
    np.testing.assert_array_equal(tf.reshape(blocks.max_pool(x, 2), [-1]), [5, 3, 4])
    dropped = blocks.max_pool(np.concatenate([x, x], axis=2), 2, partial=False)
    np.testing.assert_array_equal(tf.reshape(dropped, [-1]), [5, 3])


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_what_pads_a_clip_never_wins_a_max_pool(size, length):
    x = np.abs(normal(1, length, 6, 2))
    alone = blocks.max_pool(x, size)
    garbage = np.concatenate([x, 100 + np.abs(normal(1, 5, 6, 2))], axis=1)
    valid = tf.reshape(tf.constant([1.0] * length + [0.0] * 5), [1, -1, 1, 1])
    sound = int(tf.reduce_sum(blocks.subsample(valid, 2)))
    assert alone.shape[1] == sound == -(-length // 2)
    padded = blocks.max_pool(garbage, size, valid)
    np.testing.assert_array_equal(padded[:, :sound], alone)
    np.testing.assert_array_equal(blocks.masked_max(garbage, valid), x.max((1, 2)))


def test_the_masked_mean_counts_sound_positions_only():
    x = np.array([[[[1.0], [3.0]], [[5.0], [7.0]], [[99.0], [99.0]]]], np.float32)  # [1, 3, 2, 1]
    valid = tf.reshape(tf.constant([1.0, 1.0, 0.0]), [1, 3, 1, 1])
    np.testing.assert_allclose(blocks.masked_mean(x, valid), [[4.0]])  # (1 + 3 + 5 + 7) / 4
    np.testing.assert_allclose(blocks.masked_mean(x[:, :2], None), [[4.0]])


def test_initial_weights_follow_their_seed():
    first, again, other = (blocks.dense(3, seed) for seed in (1, 1, 2))
    for layer in (first, again, other):
        layer(normal(1, 5))
    np.testing.assert_array_equal(compat.raw(first.kernel), compat.raw(again.kernel))
    assert (compat.raw(first.kernel).numpy() != compat.raw(other.kernel).numpy()).all()


@pytest.mark.parametrize("stride", [1, 2])
def test_a_depthwise_convolution_is_one_convolution_a_channel(stride):
    x = normal(2, 7, 6, 3)
    depthwise = blocks.DepthwiseConv((5, 3), stride, seed=0)
    found = depthwise(x)
    assert found.shape == (2, -(-7 // stride), -(-6 // stride), 3)
    one = blocks.Conv(1, (5, 3), (stride, stride), seed=0)
    for channel in range(3):
        alone = x[..., channel : channel + 1]
        one(alone)
        one.kernel.assign(depthwise.kernel[:, :, channel : channel + 1])
        np.testing.assert_allclose(
            found[..., channel : channel + 1], one(alone), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("stride", [1, 2])
def test_what_pads_a_clip_changes_no_depthwise_convolution(stride):
    conv = blocks.DepthwiseConv((5, 1), stride, seed=0)
    clip, rest = normal(1, 9, 1, 4), normal(1, 6, 1, 4, seed=1)
    valid = np.array([1.0] * 9 + [0.0] * 6, np.float32).reshape(1, 15, 1, 1)
    padded = conv(np.concatenate([clip, rest], axis=1), valid)
    alone = conv(clip)
    np.testing.assert_allclose(padded[:, : alone.shape[1]], alone, rtol=1e-5, atol=1e-6)


def test_a_depthwise_convolution_that_is_not_padded_leaves_one_position_of_a_map_of_its_size():
    x = normal(2, 4, 2, 3)
    conv = blocks.DepthwiseConv((4, 2), seed=0, padded=False)
    found = conv(x)
    assert found.shape == (2, 1, 1, 3)
    expected = np.sum(x * conv.kernel.numpy()[None, ..., 0], axis=(1, 2))
    np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-4, atol=1e-5)


def test_a_depthwise_kernel_starts_with_the_deviation_of_one_channels_kernel():
    conv = blocks.DepthwiseConv((5, 5), seed=0)
    conv(np.zeros([1, 5, 5, 400], np.float32))
    assert abs(np.std(conv.kernel) / np.sqrt(2 / 25) - 1) < 0.03  # 10 000 draws
