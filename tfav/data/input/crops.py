"""How a photograph becomes a square: fitted whole, or a random part as torchvision draws it."""

import math

import tensorflow as tf

FILL = 127  # grey of every pixel that the photograph does not cover (spec 1b)
_SCALE = (0.08, 1.0)  # of the area
_RATIO = (3 / 4, 4 / 3)  # width to height
_TRIES = 10


def fit(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes to fit a square, keeping the aspect, and pads the rest with grey on both sides.

    Args:
      image: [H, W, 3] uint8 (or float32 in 0..255), any H and W of at least 1.
      size: side of the square in pixels.

    Returns:
      [size, size, 3] uint8.
    """
    shape = tf.shape(image)[:2]
    scale = size / tf.reduce_max(shape)
    inner = tf.clip_by_value(
        tf.cast(tf.round(tf.cast(shape, tf.float64) * scale), tf.int32), 1, size
    )
    resized = tf.image.resize(image, inner, antialias=True)
    before = (size - inner) // 2
    after = size - inner - before
    paddings = tf.concat([tf.stack([before, after], axis=1), [[0, 0]]], axis=0)
    padded = tf.pad(resized, paddings, constant_values=FILL)
    return tf.ensure_shape(to_uint8(padded), [size, size, 3])


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Rounds float32 pixels to uint8; uint8 ones stay."""
    if image.dtype == tf.uint8:
        return image
    return tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)


def resized_crop(image: tf.Tensor, seed: tf.Tensor, size: int | None = None) -> tf.Tensor:
    """Stretches a random part of the image to a square (torchvision's RandomResizedCrop).

    Its share of the area is uniform in [0.08, 1], the logarithm of its aspect in log [3/4, 4/3];
    of ten such draws the first that fits is taken, else the largest central part of that aspect.

    Args:
      image: [H, W, 3] uint8, or float32 in 0..255.
      seed: [2] int64.
      size: side of the square in pixels; None: that of `image`, which is square then. As the first
        of a chain the reader gives it, and the whole photograph, which is sharper.

    Returns:
      [size, size, 3] float32 in 0..255.
    """
    size = image.shape[0] if size is None else size
    top, left, height, width = crop_region(tf.shape(image)[:2], seed)
    part = tf.cast(image, tf.float32)[top : top + height, left : left + width]
    resized = tf.image.resize(part, [size, size], antialias=True)
    return tf.ensure_shape(tf.clip_by_value(resized, 0.0, 255.0), [size, size, 3])


def crop_region(shape: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Returns top, left, height and width [] int32 of a random part (`get_params` of torchvision).

    Args:
      shape: [2] int32, height and width in pixels.
      seed: [2] int64. The same seed gives frames of one shape the same part.
    """
    height, width = tf.unstack(shape)
    area_key, ratio_key, place_key = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    area = tf.cast(height * width, tf.float32) * tf.random.stateless_uniform(
        [_TRIES], area_key, *_SCALE
    )
    log_ratio = tf.random.stateless_uniform([_TRIES], ratio_key, *map(math.log, _RATIO))
    widths = tf.cast(tf.round(tf.sqrt(area * tf.exp(log_ratio))), tf.int32)
    heights = tf.cast(tf.round(tf.sqrt(area * tf.exp(-log_ratio))), tf.int32)
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    chosen = tf.argmax(tf.cast(fits, tf.int32))  # the first that fits
    any_fits = tf.reduce_any(fits)
    whole_height, whole_width = _largest(height, width)
    crop_height = tf.where(any_fits, heights[chosen], whole_height)
    crop_width = tf.where(any_fits, widths[chosen], whole_width)
    room = tf.stack([height - crop_height, width - crop_width])
    places = tf.cast(room + 1, tf.float64)
    share = tf.random.stateless_uniform([2], place_key, dtype=tf.float64)
    drawn = tf.minimum(tf.cast(share * places, tf.int32), room)
    top, left = tf.unstack(tf.where(any_fits, drawn, room // 2))
    return top, left, crop_height, crop_width


def _largest(height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns height and width of the largest part whose aspect is allowed."""
    narrow = tf.cast(tf.round(tf.cast(width, tf.float32) / _RATIO[0]), tf.int32)
    wide = tf.cast(tf.round(tf.cast(height, tf.float32) * _RATIO[1]), tf.int32)
    return tf.clip_by_value(narrow, 1, height), tf.clip_by_value(wide, 1, width)
