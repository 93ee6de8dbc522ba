"""What is done to an item before the network sees it, by name.

Every entry of the tables is stateless: the same input and seed give the same output. An image
function takes `image` [S, S, 3] (uint8, or float32 in 0..255) and `seed` [2] and returns float32
[S, S, 3] in 0..255; an audio function takes `waveform` [T] float32 in [-1, 1] and `seed` [2] and
returns the like. Code outside the repository joins by its dotted path: a function whose first
argument is called as the `subject` of a kind of modality: `image`, `waveform` or `array`. An image
function that also takes a `size` is given, where it is the first of its chain, the whole photograph
[H, W, 3], and makes the square of it.
"""

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from types import ModuleType

import tensorflow as tf

from tfav import compat, registry
from tfav.data.input import crops

# Of a value and a seed; a first one of images may take `size` as well.
Augmentation = Callable[..., tf.Tensor]


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


def gain(waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Scales by -6 to +6 dB, by less where the peak would leave [-1, 1]."""
    gain_db = tf.random.stateless_uniform([], seed, -6.0, 6.0)
    peak = tf.reduce_max(tf.abs(waveform))
    factor = tf.minimum(10.0 ** (gain_db / 20), tf.math.divide_no_nan(1.0, peak))
    return waveform * factor


def noise(waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Adds white noise, 20 to 40 dB below the clip's power; silence stays silent."""
    draw, level = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    snr_db = tf.random.stateless_uniform([], level, 20.0, 40.0)
    rms = tf.sqrt(tf.reduce_mean(tf.square(waveform)))
    white = tf.random.stateless_normal(tf.shape(waveform), draw)
    return tf.clip_by_value(waveform + white * rms * 10.0 ** (-snr_db / 20), -1.0, 1.0)


IMAGE_AUGMENTATIONS: dict[str, Augmentation] = {
    "resized_crop": crops.resized_crop,
    "flip": flip,
    "flip_flow": flip_flow,
    "rotate": rotate,
    "crop": crop,
    "color": color,
    "brightness": brightness,
    "cutout": cutout,
    "blur": blur,
}

AUDIO_AUGMENTATIONS: dict[str, Augmentation] = {"gain": gain, "noise": noise}

_TABLE = {**IMAGE_AUGMENTATIONS, **AUDIO_AUGMENTATIONS}
_ADDONS_ONLY = ("cutout", "blur")
_WANTED = registry.function("image or waveform", "seed")


def resolve(
    names: Sequence[str], subjects: Sequence[str] = ("image", "waveform")
) -> dict[str, list[Augmentation]]:
    """Returns the functions of `names` by what they change, each list in the order given.

    Args:
      names: rows of the tables, or dotted paths.
      subjects: what they may change: what the first argument of a function may be called.

    Raises:
      UserError: an unknown name, a dotted path that leads to no augmentation, or a name that needs
        tensorflow-addons where it is not installed.
    """
    chains: dict[str, list[Augmentation]] = {subject: [] for subject in subjects}
    for name in names:
        if name in _ADDONS_ONLY:
            compat.addons(name)
        function = registry.lookup(_TABLE, name, "augmentation", _WANTED)
        first = next(iter(inspect.signature(function).parameters), "")
        if first not in chains:
            raise registry.UserError(
                f"augmentation {name!r} has the first argument {first!r}: call it "
                f"{' or '.join(map(repr, subjects))}, to say what the function changes."
            )
        chains[first].append(function)
    return chains


def changes_sound(name: str) -> bool:
    """Says whether an augmentation is one of waveforms, by its first argument.

    Raises:
      UserError: an unknown name.
    """
    function = registry.lookup(_TABLE, name, "augmentation", _WANTED)
    return next(iter(inspect.signature(function).parameters), "") == "waveform"


def resolve_one(names: Sequence[str], subject: str, modality: str) -> list[Augmentation]:
    """Returns the functions of `names`, all of which must change what a modality is made of.

    Args:
      names: as for `resolve`.
      subject: of the modality's kind.
      modality: its name, for the message.

    Raises:
      UserError: one of them changes something else; and as `resolve`.
    """
    chains = resolve(names, tuple(dict.fromkeys(("image", "waveform", "array", subject))))
    found = chains.pop(subject)
    others = [other for other, functions in chains.items() if functions]
    if others:
        raise registry.UserError(
            f"the augmentations of {modality!r} are {', '.join(names)}, and some of them change "
            f"{others[0]}s: give those to another modality."
        )
    return found


def apply(
    functions: Sequence[Augmentation], value: tf.Tensor, seed: tf.Tensor, first: int = 0
) -> tf.Tensor:
    """Runs `value` (one image or waveform) through `functions`, each with a seed of its own.

    Args:
      functions: a chain from `resolve`.
      value: [S, S, 3] uint8 or [T] float32.
      seed: [2] int64. A function's own seed follows from it and from the place in the chain, so
        that `flip` at the same place of two chains mirrors both or neither.
      first: how many of the functions have been applied already.

    Returns:
      The like of `value`.
    """
    dtype = value.dtype
    for position, function in enumerate(functions[first:], first):
        value = function(value, tf.random.experimental.stateless_fold_in(seed, position))
    return crops.to_uint8(value) if dtype == tf.uint8 else value


def picture(
    functions: Sequence[Augmentation], photograph: tf.Tensor, size: int, seed: tf.Tensor
) -> tf.Tensor:
    """Makes the square that the network sees: `crops.fit`, or a first function that takes `size`.

    Args:
      functions: a chain of image functions from `resolve`.
      photograph: [H, W, 3] uint8.
      size: side of the square in pixels.
      seed: [2] int64.

    Returns:
      [size, size, 3] uint8.
    """
    if not (functions and "size" in inspect.signature(functions[0]).parameters):
        return apply(functions, crops.fit(photograph, size), seed)
    square = functions[0](photograph, tf.random.experimental.stateless_fold_in(seed, 0), size=size)
    return crops.to_uint8(apply(functions, square, seed, first=1))


def _addons_image(name: str) -> ModuleType:
    return compat.addons(name).image


def _one_in_two(seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform([], seed) < 0.5
