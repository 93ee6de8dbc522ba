"""The learning rate over steps, checked by hand."""

import numpy as np
import pytest

from tfav import registry
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
