import numpy as np
import pytest
import tensorflow as tf

from tfav.ops import level


def without_silence_twin(clip, silence_db):
    """The naive loop: a millisecond is cut if it lies in a stretch of silence that is long enough,
    or that reaches an end of the clip."""
    least = np.sum(clip**2) / np.sum(np.abs(clip)) * 10 ** (-silence_db / 20)
    steps = [clip[at : at + 16] for at in range(0, len(clip), 16)]
    quiet = [np.abs(step).max() < least for step in steps]
    kept, at = [], 0
    while at < len(steps):
        end = at
        while end < len(steps) and quiet[end] == quiet[at]:
            end += 1
        long = end - at >= 10 or at == 0 or end == len(steps)
        kept += [] if quiet[at] and long else steps[at:end]
        at = end
    return np.concatenate(kept)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("length", [1999, 4000, 6005])
def test_silence_is_cut_as_the_naive_loop_cuts_it(length, seed):
    random = np.random.default_rng(seed)
    clip = random.normal(0, 0.1, length)
    for _ in range(8):  # from 3 to 50 ms, some of them at an end
        at = random.integers(-200, length)
        clip[max(at, 0) : at + random.integers(48, 800)] *= random.choice([0.0, 1e-4, 1e-2])
    expected = without_silence_twin(clip, 60.0)
    assert 0 < len(expected) < length
    padded = np.concatenate([clip, np.full(random.integers(1, 99), np.nan)])[None]
    for found, count in (
        level.without_silence(tf.constant(clip[None]), 60.0),
        level.without_silence(tf.constant(padded), 60.0, tf.constant([length])),
    ):
        assert count.numpy().tolist() == [len(expected)]
        np.testing.assert_array_equal(found[0, : len(expected)], expected)
        assert not found[0, len(expected) :].numpy().any()


def test_ten_milliseconds_are_silence_and_nine_are_not():
    # Level of a clip of 1 and 0: 1. Sounds of 16 samples about dips of 9 and 10 times 16.
    clips = np.ones([3, 192], np.float32)
    clips[0, 16:160] = clips[1, 16:176] = clips[2, 16:176] = 0
    clips[2, 100] = 0.011  # above 1 / 100: what holds it are dips of 5 and of 4 ms
    found, count = level.without_silence(tf.constant(clips), 40.0)
    assert count.numpy().tolist() == [192, 32, 192]
    np.testing.assert_array_equal(found[0], clips[0])
    np.testing.assert_array_equal(found[1], [1] * 32 + [0] * 160)
    np.testing.assert_array_equal(found[2], clips[2])


@pytest.mark.parametrize("zeros", [0, 160, 16_000])
@pytest.mark.parametrize("gain", [1.0, 1e-3])
def test_silence_lies_below_the_mean_amplitude_weighted_by_itself(zeros, gain):
    # Of 3, 1 and q as long as each other (3^2 + 1^2 + q^2) / (3 + 1 + q), whatever zeros there are.
    # 20 dB is a tenth of it, which is q itself where 9 q^2 + 40 q = 10: q = 0.2373.
    for quiet, left in ((0.238, 480), (0.237, 320)):
        clip = np.concatenate([np.repeat([3.0, -1.0, quiet], 160), np.zeros(zeros)])
        _, count = level.without_silence(tf.constant(gain * clip[None]), 20.0)
        assert count.numpy().tolist() == [left]


@pytest.mark.parametrize("length", [1, 15, 16, 170, 4001])
@pytest.mark.parametrize("value", [0.0, 1e-30, 0.5, 1e25])
def test_a_clip_that_is_all_alike_is_left_as_it_is(value, length):
    clip = np.full([1, length], value, np.float32)
    found, count = level.without_silence(tf.constant(clip), 60.0)
    assert count.numpy().tolist() == [length]
    np.testing.assert_array_equal(found, clip)


def test_a_level_is_divided_by_and_zeros_stay_zeros():
    # (9 + 1) / (3 + 1) = 2.5, whatever follows; a clip below 1e-10 is not made as loud.
    clips = tf.constant([[3.0, -1.0, 0.0, np.nan], [0.0, 0.0, 0.0, 7.0], [1e-15, 0.0, 0.0, 1.0]])
    found = level.levelled(clips, tf.constant([3, 3, 3])).numpy()
    np.testing.assert_allclose(found[0], [1.2, -0.4, 0, 0], rtol=1e-6)
    assert not found[1].any() and np.abs(found[2]).max() < 1e-9
