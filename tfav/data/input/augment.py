"""What is done to an item before the network sees it, by name.

Every entry of the tables is stateless: the same input and seed give the same output. An image
function takes `image` [S, S, 3] (uint8, or float32 in 0..255) and `seed` [2] and returns float32
[S, S, 3] in 0..255; an audio function takes `waveform` [T] float32 in [-1, 1] and `seed` [2] and
returns the like. Code outside the repository joins by its dotted path: a function whose first
argument is called as the `subject` of a kind of modality: `image`, `waveform` or `array`. An image
function that also takes a `size` is given, where it is the first of its chain, the whole photograph
[H, W, 3], and makes the square of it.
"""

import inspect
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfav import compat, registry
from tfav.data.input import audio_augmentations, crops, image_augmentations

# Of a value and a seed; a first one of images may take `size` as well.
Augmentation = Callable[..., tf.Tensor]


IMAGE_AUGMENTATIONS: dict[str, Augmentation] = {
    "resized_crop": crops.resized_crop,
    "flip": image_augmentations.flip,
    "flip_flow": image_augmentations.flip_flow,
    "rotate": image_augmentations.rotate,
    "crop": image_augmentations.crop,
    "color": image_augmentations.color,
    "brightness": image_augmentations.brightness,
    "cutout": image_augmentations.cutout,
    "blur": image_augmentations.blur,
}

AUDIO_AUGMENTATIONS: dict[str, Augmentation] = {
    "gain": audio_augmentations.gain,
    "noise": audio_augmentations.noise,
}

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
