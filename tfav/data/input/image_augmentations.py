"""The augmentations of images.

Each takes `image` [S, S, 3], uint8 or float32 in 0..255, and `seed` [2], and returns float32
[S, S, 3] in 0..255; the same input and seed give the same output.
"""

import functools
import math
from collections.abc import Callable
from types import ModuleType

import tensorflow as tf

from tfav import compat
from tfav.data.input import crops


def flip(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors left and right, one time in two."""
    return tf.image.stateless_random_flip_left_right(tf.cast(image, tf.float32), seed)


def flip_flow(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors optical flow when `flip` mirrors: what moved to the left then moves to the right.

    The first channel holds the horizontal motion, 128 being none: u becomes 256 - u.
    """
    image = tf.cast(image, tf.float32)
    mirrored = image[:, ::-1]
    mirrored = tf.concat([tf.minimum(256.0 - mirrored[..., :1], 255.0), mirrored[..., 1:]], axis=2)
    return tf.where(_one_in_two(seed), mirrored, image)


def rotate(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Rotates about the centre by whole degrees in [-15, 14], one time in two; fills grey."""
    image = tf.cast(image, tf.float32)
    gate, draw = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    degrees = tf.cast(tf.random.stateless_uniform([], draw, -15, 15, tf.int32), tf.float32)
    radians = tf.where(_one_in_two(gate), degrees * (math.pi / 180), 0.0)
    if not compat.KERAS_3:
        return _addons_image("rotate").rotate(
            image,
            radians,
            interpolation="bilinear",
            fill_mode="constant",
            fill_value=float(crops.FILL),
        )
    return rotate_by(image, radians)


def rotate_by(image: tf.Tensor, radians: tf.Tensor) -> tf.Tensor:
    """Rotates `image` [H, W, 3] float32 counterclockwise about its centre; fills grey."""
    height, width = (tf.cast(tf.shape(image)[axis] - 1, tf.float32) for axis in (0, 1))
    cos, sin = tf.cos(radians), tf.sin(radians)
    x = (width - (cos * width - sin * height)) / 2
    y = (height - (sin * width + cos * height)) / 2
    rotated = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=tf.stack([cos, -sin, x, sin, cos, y, 0.0, 0.0])[tf.newaxis],
        output_shape=tf.shape(image)[:2],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=float(crops.FILL),
    )[0]
    return tf.ensure_shape(rotated, image.shape)


def crop(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shifts by up to an eighth of the side in each direction, fills grey.

    The released code pads or crops with one random fraction for both axes, so its offsets lie on a
    diagonal; here each axis has its own.
    """
    image = tf.cast(image, tf.float32)
    size = tf.shape(image)[0]
    margin = size // 8
    padded = tf.pad(image, [[margin, margin], [margin, margin], [0, 0]], constant_values=crops.FILL)
    begin = tf.random.stateless_uniform([2], seed, 0, 2 * margin + 1, dtype=tf.int32)
    return tf.ensure_shape(tf.slice(padded, tf.pad(begin, [[0, 1]]), tf.shape(image)), image.shape)


def color(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Scales contrast (about the mean) and saturation (about the grey) by 0.8 to 1.2 each."""
    image = tf.cast(image, tf.float32)
    contrast, saturation = tf.unstack(tf.random.stateless_uniform([2], seed, 0.8, 1.2))
    mean = tf.reduce_mean(image)
    image = mean + (image - mean) * contrast
    grey = tf.image.rgb_to_grayscale(image)
    return tf.clip_by_value(grey + (image - grey) * saturation, 0.0, 255.0)


def brightness(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Scales all pixels by one factor from 0.8 to 1.2."""
    factor = tf.random.stateless_uniform([], seed, 0.8, 1.2)
    return tf.clip_by_value(tf.cast(image, tf.float32) * factor, 0.0, 255.0)


def cutout(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Greys out a square of a quarter of the side, one time in two (addons line)."""
    image = tf.cast(image, tf.float32)
    gate, draw = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    size = tf.shape(image)[0]
    center = tf.random.stateless_uniform([1, 2], draw, 0, size, dtype=tf.int32)
    side = tf.maximum(size // 8, 1) * 2  # tensorflow-addons takes even sides only
    cut = _addons_image("cutout").cutout(
        image[tf.newaxis], tf.stack([side, side]), offset=center, constant_values=crops.FILL
    )[0]
    return tf.where(_one_in_two(gate), cut, image)


def blur(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Gaussian blur of sigma 0.5, 1 or 1.5 pixels over 5 x 5, one time in two (addons line)."""
    image = tf.cast(image, tf.float32)
    gate, draw = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    gaussian = _addons_image("blur").gaussian_filter2d
    # tensorflow-addons tests sigma in Python, so it cannot be a tensor: one branch for each.
    branches: list[Callable[[], tf.Tensor]] = [lambda: image]
    branches += [functools.partial(gaussian, image, (5, 5), sigma) for sigma in (0.5, 1.0, 1.5)]
    level = tf.random.stateless_uniform([], draw, 1, len(branches), dtype=tf.int32)
    return tf.switch_case(tf.where(_one_in_two(gate), level, 0), branches)


def _addons_image(name: str) -> ModuleType:
    return compat.addons(name).image


def _one_in_two(seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform([], seed) < 0.5
