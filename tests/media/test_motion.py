"""What moves, as pictures: checked on movements made by hand."""

import numpy as np

from tfav.media import motion


def _texture(shift_right=0, shift_down=0):
    """[64, 64, 3] uint8: smooth noise, shifted by whole pixels."""
    noise = np.random.default_rng(0).uniform(0, 255, (100, 100))
    for _ in range(3):
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, -1, 1)) / 4
    noise = (noise - noise.min()) / np.ptp(noise) * 255
    part = noise[16 - shift_down :, 16 - shift_right :][:64, :64]
    return np.repeat(np.rint(part).astype(np.uint8)[..., None], 3, axis=-1)


def test_flow_of_nothing_is_128_and_0():
    still = motion.flow(_texture(), _texture())
    assert still.shape == (64, 64, 3) and still.dtype == np.uint8
    # Farneback's method is 0.04 pixels off at the very edge.
    np.testing.assert_allclose(still, np.broadcast_to([128, 128, 0], (64, 64, 3)), atol=1)
    np.testing.assert_array_equal(still[2:-2, 2:-2], np.broadcast_to([128, 128, 0], (60, 60, 3)))


def test_flow_says_where_things_went():
    # 4 pixels to the right and 2 upwards: 128 + 4 * 6.35 = 153.4; 128 - 2 * 6.35 = 115.3; the
    # length is sqrt(16 + 4) = 4.47 pixels, times 12.75 = 57.
    moved = motion.flow(_texture(), _texture(4, -2))[16:-16, 16:-16]
    middle = np.median(moved, axis=(0, 1))
    np.testing.assert_allclose(middle, [153, 115, 57], atol=6)


def test_flow_is_drawn_within_a_byte():
    moved = np.array([[[0, 0], [20, -20], [-500, 500], [0, 12]]], np.float32)
    # 12 pixels downwards: 128 + 12 * 6.35 = 204.2, length 12 * 12.75 = 153
    expected = [[128, 128, 0], [255, 1, 255], [1, 255, 255], [128, 204, 153]]
    np.testing.assert_array_equal(motion._drawn(moved), [expected])


def test_diff_is_half_the_change_around_128():
    this = np.array([[[10, 0, 255]]], np.uint8)
    after = np.array([[[14, 255, 0]]], np.uint8)
    # (256 + 4) // 2 = 130, (256 + 255) // 2 = 255, (256 - 255) // 2 = 0
    np.testing.assert_array_equal(motion.difference(this, after), [[[130, 255, 0]]])
    np.testing.assert_array_equal(motion.difference(this, this), [[[128, 128, 128]]])
