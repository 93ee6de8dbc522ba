"""Every row of `IMAGE_AUGMENTATIONS` and `AUDIO_AUGMENTATIONS` keeps its promises."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import walk
from tests.data.input import test_augment as own_tests
from tfav import compat
from tfav.data.input import augment

TABLE = {**augment.IMAGE_AUGMENTATIONS, **augment.AUDIO_AUGMENTATIONS}
HERE = [name for name in TABLE if not (compat.KERAS_3 and name in own_tests.ADDONS_ONLY)]
SOUNDS = list(augment.AUDIO_AUGMENTATIONS)


def test_every_row_is_checked_by_hand():
    known = [name for name in TABLE if any(t.startswith(f"test_{name}_") for t in vars(own_tests))]
    add = "write tests/data/input/test_augment.py::test_ROW_... that checks by hand what it does."
    walk.check_complete(TABLE, known, "augment", add)
    assert not set(augment.IMAGE_AUGMENTATIONS) & set(augment.AUDIO_AUGMENTATIONS)


def example(name):
    random = np.random.default_rng(0)
    if name in augment.IMAGE_AUGMENTATIONS:
        return random.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    return random.uniform(-0.5, 0.5, 1600).astype(np.float32)


def seed(number):
    return tf.constant([number, 1], tf.int64)


@pytest.mark.parametrize("name", HERE)
def test_shape_and_range_stay_and_the_seed_alone_decides(name):
    function, value = TABLE[name], example(name)
    low, high = (0, 255) if name in augment.IMAGE_AUGMENTATIONS else (-1, 1)
    outputs = [function(value, seed(n)).numpy() for n in range(8)]
    for number, output in enumerate(outputs):
        assert output.dtype == np.float32 and output.shape == value.shape
        assert low <= output.min() and output.max() <= high
        # float32 pixels are what the next one in a chain is given
        np.testing.assert_array_equal(function(value.astype(np.float32), seed(number)), output)
    assert len({output.tobytes() for output in outputs}) > 1


@pytest.mark.parametrize("name", HERE)
def test_tf_data_gives_the_same(name):
    function, value = TABLE[name], example(name)
    dataset = tf.data.Dataset.range(4).map(lambda n: function(value, tf.stack([n, 1])))
    for number, output in enumerate(dataset):
        np.testing.assert_allclose(output, function(value, seed(number)), atol=1e-3)


@pytest.mark.parametrize("name", HERE)
def test_a_chain_returns_the_type_it_was_given(name):
    value = example(name)
    chains = augment.resolve([name])
    output = augment.apply(chains["image"] + chains["waveform"], tf.constant(value), seed(0))
    assert output.dtype == value.dtype and output.shape == value.shape


@pytest.mark.parametrize("name", SOUNDS)
def test_silence_stays_silent(name):
    silence = tf.zeros([100])
    np.testing.assert_array_equal(TABLE[name](silence, seed(0)), silence)
