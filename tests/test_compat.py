"""Each dependency line gives what it has and says where the rest is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import compat, registry
from tfav.losses import addons as alignment
from tfav.training import optimizers

ADDONS_LINE = not compat.KERAS_3
BOTH_LINES = ("sgd", "adam", "lamb")
ADDONS_ONLY = ("rectified_adam", "lookahead", "moving_average")


def test_the_lines_are_split_here():
    assert set(optimizers.OPTIMIZERS) == {*BOTH_LINES, *ADDONS_ONLY}


@pytest.mark.parametrize("name", BOTH_LINES + ADDONS_ONLY)
def test_optimizer_descends_and_its_state_survives_a_checkpoint(name, tmp_path):
    if name in ADDONS_ONLY and not ADDONS_LINE:
        pytest.skip("this row runs on the addons line; the next test covers the current one")

    def make():
        layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        layer.build((None, 2))
        optimizer = optimizers.create(name, 0.05, schedule="constant", num_steps=10)
        compat.build_optimizer(optimizer, layer.trainable_weights)
        state = {"kernel": compat.raw(layer.kernel)}
        return (
            layer,
            optimizer,
            tf.train.Checkpoint(weights=state, optimizer=compat.optimizer_state(optimizer)),
        )

    def step(layer, optimizer):
        gradient = 2.0 * tf.convert_to_tensor(layer.kernel)  # of |w|^2
        compat.reduced_apply(optimizer, [gradient], layer.trainable_weights)

    layer, optimizer, checkpoint = make()
    for _ in range(4):
        step(layer, optimizer)
    assert int(optimizer.iterations.numpy()) == 4
    assert float(tf.reduce_sum(tf.convert_to_tensor(layer.kernel) ** 2)) < 2.0
    path = checkpoint.save(str(tmp_path / "c"))
    again, optimizer_again, checkpoint_again = make()
    checkpoint_again.restore(path).assert_existing_objects_matched()
    for _ in range(3):
        step(layer, optimizer)
        step(again, optimizer_again)
    np.testing.assert_array_equal(again.kernel.numpy(), layer.kernel.numpy())


@pytest.mark.skipif(not ADDONS_LINE, reason="tensorflow-addons runs on the addons line only")
def test_averages_stand_in_for_the_weights_while_they_are_judged_and_kept():
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    layer.build((None, 1))
    optimizer = optimizers.create("moving_average", 0.1, schedule="constant", num_steps=9)
    compat.build_optimizer(optimizer, layer.trainable_weights)
    seen = []
    for _ in range(3):
        compat.reduced_apply(optimizer, [tf.ones([1, 1])], layer.trainable_weights)
        seen.append(float(layer.kernel.numpy()[0, 0]))
    with compat.averaged(optimizer, layer.trainable_weights):
        average = float(layer.kernel.numpy()[0, 0])
    # SGD with momentum only falls here, so an average of the past lies above the last weight.
    assert seen[2] < average < 1.0
    assert float(layer.kernel.numpy()[0, 0]) == seen[2]


@pytest.mark.skipif(ADDONS_LINE, reason="tensorflow-addons is here")
@pytest.mark.parametrize("name", ADDONS_ONLY)
def test_optimizer_of_the_other_line_names_the_extra(name):
    with pytest.raises(registry.UserError, match=f"'{name}' needs tensorflow-addons.*addons-cpu"):
        optimizers.create(name, 0.1, schedule="constant", num_steps=1)


@pytest.mark.skipif(not ADDONS_LINE, reason="tensorflow-addons runs on the addons set only")
def test_addons_that_are_found_while_a_graph_is_traced_are_no_matter_for_autograph(caplog):
    @tf.function
    def traced(x):
        return alignment.npairs(x, x, tf.constant([0, 1]))

    assert traced(tf.ones([2, 3])).shape == (2,)
    assert "AutoGraph" not in caplog.text


@pytest.mark.skipif(not ADDONS_LINE, reason="current line")
def test_addons_line_has_both_packages():
    assert compat.addons("test").__version__ == "0.23.0"
    assert compat.tensorflow_io("test").__version__ == "0.36.0"


def test_reduced_gradients_are_applied_as_they_are_on_every_replica(mirrored):
    # Two replicas apply the same already-summed gradient 1 at rate 0.1: the weight falls by 0.1.
    with mirrored.scope():
        layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        layer.build((None, 1))
        optimizer = optimizers.create("sgd", 0.1, schedule="constant", num_steps=1, momentum=0.0)
        compat.build_optimizer(optimizer, layer.trainable_weights)
    apply = tf.function(
        lambda: mirrored.run(
            lambda: compat.reduced_apply(optimizer, [tf.ones([1, 1])], layer.trainable_weights)
        )
    )
    apply()
    np.testing.assert_allclose(layer.kernel.numpy(), [[0.9]], rtol=1e-6)
