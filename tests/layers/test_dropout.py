"""The dropout mask: its share, its seed, its counter, and N replicas."""

import numpy as np
import tensorflow as tf

from tfav import weights
from tfav.layers import dropout


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def test_dropout_drops_the_given_share_and_keeps_the_mean():
    dropped = dropout.SeededDropout(0.25, seed=1)(tf.ones([100, 100]), training=True).numpy()
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}
    assert abs((dropped == 0).mean() - 0.25) < 0.02  # standard error 0.0043


def test_dropout_is_the_identity_outside_training():
    layer = dropout.SeededDropout(0.5, seed=1)
    x = normal(3, 4)
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(dropout.SeededDropout(0.0, seed=1)(x, training=True), x)
    assert layer.calls.numpy() == 0


def test_dropout_masks_follow_seed_and_call_and_a_restored_counter_continues_them():
    x = tf.ones([4, 64])
    layer = dropout.SeededDropout(0.5, seed=3)
    first, second, third = (layer(x, training=True).numpy() for _ in range(3))
    assert (first != second).any() and (second != third).any()
    again = dropout.SeededDropout(0.5, seed=3)
    np.testing.assert_array_equal(again(x, training=True), first)
    again.calls.assign(2)
    np.testing.assert_array_equal(again(x, training=True), third)
    other = dropout.SeededDropout(0.5, seed=4)(x, training=True).numpy()
    assert (other != first).any()


def test_the_dropout_counter_is_a_named_weight():
    layer = dropout.SeededDropout(0.5, seed=3)
    assert list(weights.named_weights(layer, "dropout")) == ["dropout/calls"]


def test_two_replicas_draw_the_mask_of_one(mirrored):
    x = np.ones((6, 5), np.float32)
    alone = dropout.SeededDropout(0.5, seed=7)
    expected = [alone(x, training=True).numpy() for _ in range(2)]
    with mirrored.scope():
        layer = dropout.SeededDropout(0.5, seed=7)
    rows = mirrored.experimental_distribute_values_from_function(
        lambda c: tf.constant(np.split(x, 2)[c.replica_id_in_sync_group])
    )

    @tf.function
    def step():
        return mirrored.run(lambda x: layer(x, training=True), args=(rows,))

    for call in range(2):
        result = np.concatenate(mirrored.experimental_local_results(step()))
        np.testing.assert_array_equal(result, expected[call])
    assert layer.calls.numpy() == 2
