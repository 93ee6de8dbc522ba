"""Every weight is found, wherever a layer holds it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import weights


class Towers(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.towers = {
            "a": keras.layers.Dense(2),
            "b": [keras.layers.Dense(3), keras.layers.BatchNormalization()],
        }
        self.gain = self.add_weight(name="gain", shape=(2,), initializer="ones", trainable=True)
        self.counter = tf.Variable(0, dtype=tf.int64, trainable=False, name="counter")

    def call(self, x):
        return self.towers["a"](x), self.towers["b"][1](self.towers["b"][0](x))


def test_names_follow_attributes_through_lists_and_dicts_and_none_is_missed():
    layer = Towers()
    layer(tf.ones([1, 4]))
    names = weights.named_weights(layer, "model")
    assert sorted(names) == [
        "model/counter",
        "model/gain",
        "model/towers/a/bias",
        "model/towers/a/kernel",
        "model/towers/b/0/bias",
        "model/towers/b/0/kernel",
        "model/towers/b/1/beta",
        "model/towers/b/1/gamma",
        "model/towers/b/1/moving_mean",
        "model/towers/b/1/moving_variance",
    ]
    assert names["model/towers/b/0/kernel"].shape == (4, 3)


def test_a_checkpoint_of_the_dict_restores_weights_that_keras_3_would_lose(tmp_path):
    layer = Towers()
    layer(tf.ones([1, 4]))
    names = weights.named_weights(layer, "model")
    path = tf.train.Checkpoint(weights=names).save(str(tmp_path / "c"))
    before = names["model/towers/b/0/kernel"].numpy()
    names["model/towers/b/0/kernel"].assign(tf.zeros([4, 3]))
    tf.train.Checkpoint(weights=names).restore(path).assert_consumed()
    np.testing.assert_array_equal(names["model/towers/b/0/kernel"].numpy(), before)


def test_a_layer_under_a_private_attribute_is_refused():
    layer = Towers()
    layer._hidden = keras.layers.Dense(2)
    layer._hidden(tf.ones([1, 2]))
    with pytest.raises(ValueError, match="_hidden is a layer under a private name"):
        weights.named_weights(layer, "model")
