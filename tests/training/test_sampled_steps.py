"""Steps on the classes that were drawn: those of the whole head, no other row, and repeatable."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tests.training import linear
from tfav import registry
from tfav.commands import train
from tfav.training import weights_file

CLASSES, ROWS = 20, 8
OPTIMIZERS = [("sgd", 0.9), ("sgd", 0.0), ("adam", 0.0)]
HEADS = {
    "voice_face": {"scale": 4.0, "margin_kind": "additive_cosine", "margin": 0.2},
    "mmcosine": {"scale": 4.0, "sub_centers": 2, "blending": "equal"},
}


@pytest.fixture
def one():
    return tf.distribute.OneDeviceStrategy("CPU:0")


@pytest.mark.parametrize("optimizer, momentum", OPTIMIZERS)
@pytest.mark.parametrize("name", HEADS)
def test_steps_on_all_classes_drawn_are_those_of_the_whole_head(
    name, optimizer, momentum, one, float64
):
    ends = []
    for share in (1.0, 0.999):
        loop = linear.loop(
            one,
            name,
            CLASSES,
            ROWS,
            sampled=share,
            optimizer=optimizer,
            momentum=momentum,
            **HEADS[name],
        )
        loop.run(linear.batches(one, CLASSES, ROWS), 5)
        ends.append(linear.state(loop))
    assert ends[1].pop("sampler/calls") == 5
    assert set(ends[0]) == set(ends[1])
    for key, value in ends[0].items():
        np.testing.assert_allclose(ends[1][key], value, rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("optimizer, momentum", OPTIMIZERS)
def test_a_row_that_was_not_drawn_keeps_its_bits_and_so_do_its_slots(optimizer, momentum, one):
    loop = linear.loop(
        one, "voice_face", CLASSES, 2, sampled=0.1, optimizer=optimizer, momentum=momentum
    )
    before = linear.state(loop)
    loop.run(linear.batches(one, CLASSES, 2), 1)
    after = linear.state(loop)
    large = [key for key, value in before.items() if value.shape == (CLASSES, linear.SIZE)]
    slots = {"sgd": momentum > 0, "adam": 2}[optimizer]
    assert large[0] == "classifier/kernel" and len(large) > slots  # Keras 2 has some unused ones
    moved = np.any(after["classifier/kernel"] != before["classifier/kernel"], axis=1)
    assert moved.sum() == 4  # a tenth of twenty, and as many as the batch has rows
    for key in large:
        np.testing.assert_array_equal(after[key][~moved], before[key][~moved], err_msg=key)


def test_a_run_that_was_stopped_draws_what_it_would_have_drawn(tmp_path):
    c = small.config(small.write_dataset(str(tmp_path / "data")))
    c.model.sampled = 0.3
    c.train.steps_per_call = c.train.checkpoint_every = 2
    c.train.num_steps = 4
    train.train(c, str(tmp_path / "whole"), "one_device")
    c.train.num_steps = 2
    train.train(c, str(tmp_path / "stopped"), "one_device")
    c.train.num_steps = 4
    train.train(c, str(tmp_path / "stopped"), "one_device")
    ends = [
        weights_file.read(str(tmp_path / run / "weights.npz"))[0] for run in ("whole", "stopped")
    ]
    assert ends[0]["sampler/calls"] == ends[1]["sampler/calls"] == 4
    for name, value in ends[0].items():
        scale = max(1e-2, np.abs(value).max())
        np.testing.assert_allclose(ends[1][name], value, atol=1e-5 * scale, err_msg=name)


def test_what_moves_every_row_is_refused(one):
    with pytest.raises(registry.UserError, match="moves all rows .* to sgd or adam"):
        linear.loop(one, "voice_face", CLASSES, ROWS, sampled=0.5, optimizer="lamb")
