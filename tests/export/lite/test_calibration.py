import collections

import numpy as np
import pytest
import tensorflow as tf

from tfav import items
from tfav.export.lite import calibration

ITEMS = {"audio": items.clip().of("audio"), "image": items.image(1).of("image")}


def test_identities_take_turns():
    identity = ["a"] * 6 + ["b"] * 3 + ["c"]
    found = calibration.balanced(identity, None, 6)
    # One of each first, then a and b again, then whoever was taken least: a or b, a is first.
    assert [identity[i] for i in found] == ["a", "b", "c", "a", "b", "a"]
    assert found == [0, 6, 9, 1, 7, 2]


def test_quarters_of_loudness_take_turns_and_identities_within_them():
    identity = ["a", "b"] * 8
    loudness = np.arange(16.0)  # quarters: places 0-3, 4-7, 8-11, 12-15
    found = calibration.balanced(identity, loudness, 8)
    assert collections.Counter(i // 4 for i in found) == {0: 2, 1: 2, 2: 2, 3: 2}
    assert collections.Counter(identity[i] for i in found) == {"a": 4, "b": 4}
    assert found == calibration.balanced(identity, loudness, 8)


def test_a_rare_identity_comes_before_a_second_clip_of_another():
    # Quarters by rank: b's quiet clip, 0, 1 | 2, 3 | 4, 5, 6 | 7, 8. The first one's turn comes
    # again after four, and then b has waited longer than a.
    identity = ["a"] * 9 + ["b"]
    found = calibration.balanced(identity, [5.0] * 9 + [0.0], 5)
    assert found == [0, 2, 4, 7, 9]


def test_more_than_there_is_gives_all_once():
    assert sorted(calibration.balanced(["a", "b", "a"], [0.0, 0.0, 0.0], 10)) == [0, 1, 2]
    assert calibration.balanced([], [], 3) == []


def test_loudness_is_in_decibels_of_full_scale():
    assert calibration.loudness(np.full(100, 0.1, np.float32)) == pytest.approx(-20)
    assert calibration.loudness(np.zeros(10, np.float32)) == -120
    assert calibration.loudness(np.zeros(0, np.float32)) == -120


def function(samples):
    def call(**inputs):
        return inputs

    return tf.function(call).get_concrete_function(
        waveform=tf.TensorSpec([1, samples], tf.float32), num_samples=tf.TensorSpec([1], tf.int32)
    )


def test_clips_are_cut_or_padded_to_the_signature_and_others_left_out():
    rows = [{"audio": np.ones(n, np.float32)} for n in (3, 7)]
    rows.insert(1, {"image": np.zeros([1, 1, 3], np.uint8)})
    short, long = calibration.feeds(function(5), rows, ITEMS)
    np.testing.assert_array_equal(short["waveform"], [[1, 1, 1, 0, 0]])
    np.testing.assert_array_equal(long["waveform"], [[1, 1, 1, 1, 1]])
    assert (short["num_samples"], long["num_samples"]) == (3, 5)
    whole = list(calibration.feeds(function(None), rows, ITEMS))
    assert [x["waveform"].shape for x in whole] == [(1, 3), (1, 7)]
