"""The learning rate over steps, checked by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfav import compat, registry
from tfav.training import optimizers


def _rates(steps, **kwargs):
    schedule = optimizers.Schedule(1.0, **{"num_steps": 100, "schedule": "constant"} | kwargs)
    return [float(schedule(s)) for s in steps]


def test_step_schedule_falls_at_each_boundary():
    rates = _rates([0, 9, 10, 19, 20], schedule="step", boundaries=(10, 20), factor=0.1)
    np.testing.assert_allclose(rates, [1, 1, 0.1, 0.1, 0.01], rtol=1e-6)


def test_cosine_is_half_way_down_in_the_middle_and_zero_at_the_end():
    np.testing.assert_allclose(_rates([0, 50, 100], schedule="cosine"), [1.0, 0.5, 0.0], atol=1e-6)


def test_warmup_is_linear_from_the_first_step():
    np.testing.assert_allclose(
        _rates([0, 1, 3, 4], warmup_steps=4), [0.25, 0.5, 1.0, 1.0], rtol=1e-6
    )


def test_unknown_names_are_refused():
    with pytest.raises(
        registry.UserError, match="schedule=linear: choose one of constant, step, cosine"
    ):
        optimizers.create("sgd", 0.1, schedule="linear", num_steps=1)
    with pytest.raises(registry.UserError, match="unknown optimizer 'adamax'"):
        optimizers.create("adamax", 0.1, schedule="constant", num_steps=1)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_one_kernel_per_weight_moves_weights_and_state_as_keras_does(name, momentum):
    theirs = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[name]
    random = np.random.default_rng(0)
    start = [random.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5,))]
    moved = []
    for optimizer in (
        optimizers.create(
            name, 0.1, schedule="step", num_steps=9, boundaries=(2,), momentum=momentum
        ),
        theirs(
            optimizers.Schedule(0.1, schedule="step", num_steps=9, boundaries=(2,)),
            **({"momentum": momentum} if name == "sgd" else {}),
        ),
    ):
        weights = [tf.Variable(value) for value in start]
        compat.build_optimizer(optimizer, weights)
        for step in range(4):
            gradients = [tf.constant(0.1 * (step + 1) * value) for value in start]
            compat.reduced_apply(optimizer, gradients, weights)
        state = [compat.raw(v).numpy() for v in optimizer.variables]
        if name == "sgd" and not momentum:
            state = []  # Keras 2 keeps a momentum that nothing reads
        moved.append([w.numpy() for w in weights] + state)
        assert int(optimizer.iterations.numpy()) == 4
    for found, expected in zip(*moved, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(moved[0][0] - start[0]).max() > 0.01
