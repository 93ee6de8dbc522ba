"""Arrays that Python gives: what is no item of a modality is a sentence."""

import types

import numpy as np
import pytest

from tfav import items, registry
from tfav.inference import given_arrays


@pytest.fixture
def embedder():
    specs = {
        "imu": items.array(2, "imu_steps").of("imu"),
        "text": items.array(3).of("text"),
    }
    return types.SimpleNamespace(items=specs, refuses=lambda modality, item: "")


def test_a_sequence_has_a_step_or_is_refused(embedder):
    with pytest.raises(registry.UserError, match="item 4 is empty: give another"):
        given_arrays.checked(embedder, "imu", 4, np.zeros([0, 2], np.float32))
    one = given_arrays.checked(embedder, "imu", 0, np.ones([1, 2], np.float32))
    assert one.shape == (1, 2)


@pytest.mark.parametrize(
    ("modality", "shape", "sentence"),
    [
        ("imu", (2,), r"item 0 is float32 \[2\]: give imu as float32 \['any', 2\]"),
        ("imu", (4, 3), r"item 0 is float32 \[4, 3\]: give imu as"),
        ("text", (2,), r"give text as float32 \[3\]"),
    ],
)
def test_another_shape_is_told_with_the_one_that_is_wanted(embedder, modality, shape, sentence):
    with pytest.raises(registry.UserError, match=sentence):
        given_arrays.checked(embedder, modality, 0, np.ones(shape, np.float32))


def test_what_is_not_finite_is_refused(embedder):
    with pytest.raises(registry.UserError, match="item 2 holds NaN or infinite values"):
        given_arrays.checked(embedder, "text", 2, np.full([3], np.nan, np.float32))
