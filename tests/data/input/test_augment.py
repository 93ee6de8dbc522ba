import math

import numpy as np
import pytest
import tensorflow as tf

from tfav import compat, registry
from tfav.data.input import audio_augmentations, augment, crops, image_augmentations

ADDONS_ONLY = ("cutout", "blur")
addons_line = pytest.mark.skipif(compat.KERAS_3, reason="tensorflow-addons")
current_line = pytest.mark.skipif(not compat.KERAS_3, reason="no tensorflow-addons")


def seed(number):
    return tf.constant([number, 1], tf.int64)


def photograph(size=16):
    return np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8)


def test_fit_leaves_an_image_of_the_right_size_alone():
    np.testing.assert_array_equal(crops.fit(photograph(16), 16), photograph(16))


def test_fit_keeps_the_aspect_and_pads_both_sides_with_grey():
    image = np.full((40, 20, 3), 200, np.uint8)
    fitted = crops.fit(image, 10).numpy()  # scale 1/4: 10 x 5, so 2 columns before and 3 after
    assert fitted.dtype == np.uint8
    expected = np.full((10, 10, 3), 127)
    expected[:, 2:7] = 200
    np.testing.assert_array_equal(fitted, expected)


def test_fit_averages_when_it_shrinks():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, 3::8] = stripes[:, 4::8] = 200  # all that a bilinear look every 8 pixels would see
    fitted = crops.fit(stripes, 8).numpy().astype(int)
    assert abs(fitted - 50).max() <= 8  # two columns of eight: 200 / 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 5)])
def test_fit_takes_any_shape(shape):
    fitted = crops.fit(np.full((*shape, 3), 9, np.uint8), 8).numpy()
    assert fitted.shape == (8, 8, 3)
    assert set(np.unique(fitted).tolist()) <= {9, 127} and (fitted == 9).any()


def test_flip_mirrors_half_of_the_images():
    image = photograph()
    flips = [image_augmentations.flip(image, seed(n)).numpy() for n in range(100)]
    mirrored = [np.array_equal(flipped, image[:, ::-1]) for flipped in flips]
    same = [np.array_equal(flipped, image) for flipped in flips]
    assert all(a != b for a, b in zip(mirrored, same))
    assert 30 <= sum(mirrored) <= 70  # 50 expected, 4 standard deviations


def test_flip_flow_mirrors_with_flip_and_turns_the_horizontal_motion_around():
    flow = photograph()
    for number in range(40):
        turned = image_augmentations.flip_flow(flow, seed(number)).numpy()
        if np.array_equal(image_augmentations.flip(flow, seed(number)), flow):
            np.testing.assert_array_equal(turned, flow)
            continue
        np.testing.assert_array_equal(turned[..., 1:], flow[:, ::-1, 1:])
        # 128 is no motion: 28 to the left of it (100) becomes 28 to the right (156), 0 is clipped.
        expected = np.minimum(256 - flow[:, ::-1, 0].astype(int), 255)
        np.testing.assert_array_equal(turned[..., 0], expected)


def test_resized_crop_stretches_a_part_to_the_square():
    ramp = np.zeros((40, 60, 3), np.float32)
    ramp[..., 0] = np.arange(60) * 4  # tells the column, and the other channel the row
    ramp[..., 1] = np.arange(40)[:, None] * 4
    for number in range(20):
        part = crops.resized_crop(tf.constant(ramp), seed(number), size=10).numpy() / 4
        top, left, height, width = crops.crop_region(tf.constant([40, 60]), seed(number))
        # The middle of the first and last of 10 pixels lie 1/20 of the part from its edges.
        columns = int(left) + np.array([0.05, 0.95]) * int(width) - 0.5
        rows = int(top) + np.array([0.05, 0.95]) * int(height) - 0.5
        np.testing.assert_allclose(part[5, [0, -1], 0], columns, atol=0.6)
        np.testing.assert_allclose(part[[0, -1], 5, 1], rows, atol=0.6)


def test_resized_crop_without_a_size_keeps_that_of_the_image():
    assert crops.resized_crop(tf.constant(photograph()), seed(0)).shape == (16, 16, 3)


def test_crop_regions_have_the_area_and_aspect_of_torchvision():
    regions = np.array(
        [[int(v) for v in crops.crop_region(tf.constant([300, 400]), seed(n))] for n in range(300)]
    )
    top, left, height, width = regions.T
    assert min(top.min(), left.min()) >= 0
    assert (top + height).max() <= 300 and (left + width).max() <= 400
    area, log_aspect = height * width / (300 * 400), np.log(width / height)
    assert 0.079 < area.min() < 0.12 and 0.9 < area.max() <= 1.001
    bound = math.log(4 / 3) + 0.02
    assert -bound < log_aspect.min() < -0.2 and 0.2 < log_aspect.max() < bound
    # Of one shape but another size, the same seed gives the same part.
    half = [[int(v) for v in crops.crop_region(tf.constant([150, 200]), seed(n))] for n in range(9)]
    np.testing.assert_allclose(np.array(half) * 2, regions[:9], atol=3)


@pytest.mark.parametrize(
    ("shape", "region"),
    # No part of a strip can have 8 % of its area and an aspect up to 4/3: the central one of the
    # nearest allowed aspect is taken: 9 * 4/3 = 12 wide, or 9 / (3/4) = 12 high.
    [((9, 1000), (0, 494, 9, 12)), ((1000, 9), (494, 0, 12, 9))],
)
def test_a_strip_gives_its_central_part(shape, region):
    assert tuple(int(v) for v in crops.crop_region(tf.constant(shape), seed(3))) == region


def test_picture_fits_the_photograph_unless_the_first_function_makes_the_square():
    wide = np.full((20, 40, 3), 200, np.uint8)
    fitted = augment.picture([image_augmentations.flip], tf.constant(wide), 8, seed(0)).numpy()
    assert fitted.dtype == np.uint8 and (fitted[0] == 127).all()  # grey above
    cropped = augment.picture(
        [crops.resized_crop, image_augmentations.flip], tf.constant(wide), 8, seed(0)
    )
    assert cropped.dtype == tf.uint8 and cropped.shape == (8, 8, 3)
    np.testing.assert_array_equal(cropped, 200)  # no grey: cut from the photograph itself
    late = augment.picture(
        [image_augmentations.flip, crops.resized_crop], tf.constant(wide), 8, seed(1)
    )
    assert late.dtype == tf.uint8 and late.shape == (8, 8, 3)


def test_rotate_by_a_quarter_is_a_quarter_counterclockwise():
    image = photograph(9).astype(np.float32)
    rotated = image_augmentations.rotate_by(tf.constant(image), tf.constant(math.pi / 2))
    np.testing.assert_allclose(rotated, np.rot90(image), atol=0.01)


def test_rotate_by_fills_the_corners_with_grey():
    rotated = image_augmentations.rotate_by(tf.fill([32, 32, 3], 10.0), tf.constant(0.2)).numpy()
    np.testing.assert_array_equal(rotated[[0, 0, -1, -1], [0, -1, 0, -1]], 127)
    np.testing.assert_allclose(rotated[16, 16], 10, atol=1e-4)


def test_rotate_turns_half_of_the_images_by_whole_degrees_from_minus_15_to_14():
    image = tf.constant(photograph(24), tf.float32)
    turns = {
        d: image_augmentations.rotate_by(image, d * (math.pi / 180)).numpy() for d in range(-15, 15)
    }
    found = []
    for number in range(120):
        rotated = image_augmentations.rotate(image, seed(number)).numpy()
        degrees = min(turns, key=lambda d: np.abs(turns[d] - rotated).max())
        np.testing.assert_allclose(rotated, turns[degrees], atol=0.05)
        found.append(degrees)
    # Untouched: one in two, and one in 30 of the rest: 62 of 120 expected, 4 standard deviations.
    assert 40 <= found.count(0) <= 84
    assert min(found) >= -15 and max(found) <= 14 and min(found) < -8 and max(found) > 8


@addons_line
def test_the_addons_rotation_equals_the_core_one():
    image = tf.constant(photograph(), tf.float32)
    theirs = compat.addons("rotate").image.rotate(
        image, 0.2, interpolation="bilinear", fill_mode="constant", fill_value=127.0
    )
    np.testing.assert_allclose(
        theirs, image_augmentations.rotate_by(image, tf.constant(0.2)), atol=1e-3
    )


def test_crop_shifts_by_up_to_an_eighth_and_fills_grey():
    image = np.zeros((16, 16, 3), np.uint8)
    image[8, 8] = 255
    where = set()
    for number in range(200):
        cropped = image_augmentations.crop(image, seed(number)).numpy()
        (y,), (x,) = np.nonzero(cropped[:, :, 0] == 255)
        where.add((int(y) - 8, int(x) - 8))
        if y > 8:
            np.testing.assert_array_equal(cropped[: y - 8], 127)
    # A margin of 16 // 8 = 2: 5 shifts an axis, and the axes are independent.
    assert where == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_brightness_scales_every_pixel_by_one_factor():
    image = np.array([[[10, 20, 40]]], np.uint8)
    factors = np.stack(
        [image_augmentations.brightness(image, seed(n)).numpy()[0, 0] for n in range(100)]
    )
    np.testing.assert_allclose(factors[:, 1], 2 * factors[:, 0], rtol=1e-5)
    factors = factors[:, 0] / 10
    assert 0.8 <= factors.min() < 0.85 and 1.15 < factors.max() <= 1.2


def test_color_keeps_the_mean_grey_and_leaves_a_grey_image_grey():
    image = np.repeat(np.random.default_rng(1).integers(60, 190, (8, 8, 1)), 3, axis=2)
    for number in range(10):
        output = image_augmentations.color(image.astype(np.uint8), seed(number)).numpy()
        np.testing.assert_allclose(output[..., 0], output[..., 2], atol=0.1)
        np.testing.assert_allclose(output.mean(), image.mean(), atol=0.2)


@addons_line
def test_cutout_greys_one_square_in_half_of_the_images():
    image = np.zeros((16, 16, 3), np.uint8)
    holes = [
        int((image_augmentations.cutout(image, seed(n)).numpy()[..., 0] == 127).sum())
        for n in range(100)
    ]
    assert 30 <= holes.count(0) <= 70
    assert max(holes) == 16  # a side of 16 // 8 * 2 = 4, whole when it does not touch the edge


@addons_line
def test_blur_spreads_a_point_by_one_of_three_gaussians_in_half_of_the_images():
    image = np.zeros((9, 9, 3), np.float32)
    image[4, 4] = 100

    def middle(sigma):  # the 1-D kernel of 5 taps, normalised; its centre squared is the peak
        kernel = np.exp(-(np.arange(-2.0, 3) ** 2) / (2 * sigma**2))
        return 100 * (1 / kernel.sum()) ** 2

    peaks = np.array(
        [image_augmentations.blur(image, seed(n)).numpy()[4, 4, 0] for n in range(100)]
    )
    levels = [100.0, middle(0.5), middle(1.0), middle(1.5)]
    nearest = np.abs(peaks[:, None] - levels).argmin(axis=1)
    np.testing.assert_allclose(peaks, np.array(levels)[nearest], rtol=1e-4)
    count = np.bincount(nearest, minlength=4)
    assert 30 <= count[0] <= 70 and count[1:].min() >= 5


@current_line
@pytest.mark.parametrize("name", ADDONS_ONLY)
def test_names_that_need_addons_fail_at_once_and_name_the_extra(name):
    with pytest.raises(registry.UserError, match=rf"'{name}' needs .*tfav\[addons-cpu\]"):
        augment.resolve(["flip", name])


def waveform(size=1600):
    return (0.3 * np.sin(np.arange(size) / 5)).astype(np.float32)


def test_gain_is_between_minus_6_and_6_db():
    gains_db = [
        20 * math.log10(audio_augmentations.gain(waveform(), seed(n)).numpy()[7] / waveform()[7])
        for n in range(100)
    ]
    assert -6.001 <= min(gains_db) < -5 and 5 < max(gains_db) <= 6.001


def test_gain_never_leaves_the_range():
    loud = waveform() * 3  # peak 0.9: 6 dB would make it 1.8
    assert (
        max(np.abs(audio_augmentations.gain(loud, seed(n)).numpy()).max() for n in range(30)) <= 1.0
    )


def test_noise_lies_20_to_40_db_below_the_sound():
    power = np.mean(waveform() ** 2)
    snr_db = [
        10
        * math.log10(
            power / np.mean((audio_augmentations.noise(waveform(), seed(n)) - waveform()) ** 2)
        )
        for n in range(60)
    ]
    # The power of 1600 samples of noise is known to 10 * log10(1 + 4 * sqrt(2 / 1600)) = 0.6 dB.
    assert 19.4 <= min(snr_db) < 24 and 36 < max(snr_db) <= 40.6


def test_resolve_sorts_names_by_modality_and_keeps_their_order():
    found = augment.resolve(["noise", "crop", "gain", "flip"])
    assert found == {
        "image": [image_augmentations.crop, image_augmentations.flip],
        "waveform": [audio_augmentations.noise, audio_augmentations.gain],
    }


def test_resolve_takes_the_path_of_a_function_elsewhere():
    assert augment.resolve([f"{__name__}.darken"]) == {"image": [darken], "waveform": []}


def darken(image, seed):
    return image / 2


def test_resolve_names_the_choices_for_an_unknown_name():
    with pytest.raises(registry.UserError, match="'flop'.*choose one of.*flip"):
        augment.resolve(["flop"])


def says_nothing(x, seed):
    return x


def test_resolve_refuses_a_function_whose_first_argument_says_nothing():
    with pytest.raises(registry.UserError, match="'image' or 'waveform'"):
        augment.resolve([f"{__name__}.says_nothing"])


def test_apply_rounds_once_and_gives_each_function_its_own_seed():
    image = photograph()
    twice = augment.apply(
        [image_augmentations.brightness, image_augmentations.brightness], image, seed(0)
    ).numpy()
    assert twice.dtype == np.uint8
    # The same seed twice would square the factor of the first; it does not.
    first = augment.apply([image_augmentations.brightness], image, seed(0)).numpy() / np.maximum(
        image, 1.0
    )
    factor = np.median(first)
    assert abs(np.median(twice / np.maximum(image, 1.0)) - factor**2) > 0.01


def test_apply_without_functions_changes_nothing():
    np.testing.assert_array_equal(
        augment.apply([], tf.constant(photograph()), seed(0)), photograph()
    )
