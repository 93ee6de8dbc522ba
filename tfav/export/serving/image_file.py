"""JPEG and PNG files in a graph: read as the reader of files reads them, or refused.

Upright, as their EXIF orientation says, and transparency on white: TensorFlow's decoder knows
neither. What the reader encodes anew before it is stored is so encoded here: an embedding is told
from another by less.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf
from PIL import Image

from tfav import items
from tfav.data.input import crops
from tfav.export.serving import image_headers, jpeg_data, requests
from tfav.media import colours, image_files, orientation, png_chunks
from tfav.ops import binary

_JPEG, _PNG = b"\xff\xd8\xff", png_chunks.SIGNATURE
_MIRRORED, _UPSIDE_DOWN, _LYING = (2, 3, 6, 7), (3, 4, 7, 8), (5, 6, 7, 8)
_WHITE, _GREY, _GREY_TOLERANCE = 255.0, 128.0, 2.0
# As Pillow, which the reader of files decodes with.
_MAX_PIXELS = 2 * int(Image.MAX_IMAGE_PIXELS or 0)


def read(signature: str, spec: items.ItemSpec, files: tf.Tensor) -> Mapping[str, tf.Tensor]:
    """Returns the images of files as the input of a modality, fitted to its square.

    Args:
      signature: what was called.
      spec: What one item of the modality is.
      files: [B] bytes of JPEG and PNG files.
    """
    size = spec.side
    pixels = tf.map_fn(
        lambda one: crops.fit(_pixels(signature, one), size),
        files,
        fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
    )
    return {spec.tensor: pixels}


def _pixels(signature: str, file: tf.Tensor) -> tf.Tensor:
    """Returns the upright image [H, W, 3] uint8 of one file []."""
    is_jpeg = tf.strings.substr(file, 0, len(_JPEG)) == _JPEG
    is_png = tf.strings.substr(file, 0, len(_PNG)) == _PNG
    known = f"{signature}: a file is neither JPEG nor PNG, send one of these"
    with requests.in_order([lambda: requests.refuse_unless(is_jpeg | is_png, known)]):
        content = tf.io.decode_raw(tf.identity(file), tf.uint8)
    return tf.cond(
        is_jpeg, lambda: _jpeg(signature, file, content), lambda: _png(signature, file, content)
    )


def _jpeg(signature: str, file: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    scans = jpeg_data.read(content)
    shape = scans.shape
    turn = image_headers.read_orientation(content, image_headers.in_jpeg(content))
    name = "a JPEG file"
    checks = [
        _whole(signature, name, scans.closed),
        *_sizes(signature, name, shape[:2]),
        _enough(signature, name, scans.complete),
    ]
    is_rgb, is_small = tf.equal(shape[2], 3), tf.reduce_max(shape[:2]) <= image_files.MAX_SIDE
    is_kept = is_rgb & is_small & tf.equal(turn, orientation.UPRIGHT)

    def decode(jpeg: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            is_kept,
            lambda: tf.io.decode_jpeg(jpeg, channels=3),
            # Pillow's way of decoding it, before it is encoded anew.
            lambda: tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE"),
        )

    with requests.in_order(checks):
        pixels = decode(tf.identity(file))
    same = tf.cond(
        ~scans.plain | ~is_rgb | _ends_grey(pixels),
        lambda: tf.reduce_all(pixels == decode(jpeg_data.filled(file, scans))),
        lambda: tf.constant(True),
    )
    with requests.in_order([_enough(signature, name, same)]):
        pixels = tf.identity(pixels)
    return tf.cond(is_kept, lambda: pixels, lambda: _stored(_upright(pixels, turn)))


def _ends_grey(pixels: tf.Tensor) -> tf.Tensor:
    """Whether the last pixel of an image is as bright as those that no data were left for.

    Of one scan without restart markers all blocks behind the end of the data are grey, so the
    others need not be decoded twice. Else that would cost each image its time over again, and a
    line in the server's log: libjpeg tells of the bytes that it has no use for.
    """
    red, green, blue = tf.unstack(tf.cast(pixels[-1, -1], tf.float32))
    return tf.abs(0.299 * red + 0.587 * green + 0.114 * blue - _GREY) <= _GREY_TOLERANCE


def _png(signature: str, file: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    exif, transparent, ends = image_headers.in_png(content)
    width, height = (binary.number(content, place, 4, big=True) for place in (16, 20))
    depth, colour = (binary.number(content, place, 1) for place in (24, 25))
    name = "a PNG file"
    sizes = _sizes(signature, name, tf.stack([height, width]))
    least = colours.LEAST_OF_16_BITS

    with requests.in_order([_whole(signature, name, ends), *sizes]):
        file = tf.identity(file)
    pixels = tf.cond(
        transparent | (colour >= 4),  # 4 and 6 have an alpha channel
        lambda: _on_white(tf.io.decode_png(file, channels=4)),
        lambda: tf.io.decode_png(file, channels=3),
    )
    is_full = (depth < 16) | (tf.reduce_max(pixels) >= tf.cast(least, tf.uint8))
    dark = f"{signature}: {name} is almost black, its 16-bit values stay below {256 * least} of"
    scale = "65535, as those of 8 or 12 bits do: scale them to the whole range"
    with requests.in_order([lambda: requests.refuse_unless(is_full, f"{dark} {scale}")]):
        return _stored(_upright(pixels, image_headers.read_orientation(content, exif)))


def _sizes(signature: str, name: str, shape: tf.Tensor) -> list:
    shape = tf.cast(shape, tf.int64)
    pixels, stored = tf.reduce_prod(shape), _stored_size(shape)
    least = image_files.MIN_SIDE
    return [
        *requests.wide_enough(signature, name, shape),
        lambda: requests.refuse_unless(
            pixels <= _MAX_PIXELS,
            f"{signature}: {name} says that it has",
            pixels,
            f"pixels, send at most {_MAX_PIXELS}",
        ),
        lambda: requests.refuse_unless(
            tf.reduce_min(stored) >= least,
            *(f"{signature}: {name} is", shape[0], "pixels high and", shape[1], "wide,"),
            *(stored[0], "and", stored[1], f"once it is shrunk: send at least {least} of each"),
        ),
    ]


def _whole(signature: str, name: str, ends: tf.Tensor) -> Callable[[], tf.Operation]:
    cut = f"{signature}: {name} has no end, it was cut short: send the whole file"
    return lambda: requests.refuse_unless(ends, cut)


def _enough(signature: str, name: str, complete: tf.Tensor) -> Callable[[], tf.Operation]:
    short = f"{signature}: {name} is cut short or damaged, its data end before the image does"
    return lambda: requests.refuse_unless(complete, f"{short}: send the whole file")


def _stored_size(shape: tf.Tensor) -> tf.Tensor:
    """Returns height and width [2] int64 as `image_files.stored_size` does."""
    longest = tf.reduce_max(shape)
    shrunk = (2 * shape * image_files.MAX_SIDE + longest) // (2 * tf.maximum(longest, 1))
    return tf.where(longest > image_files.MAX_SIDE, shrunk, shape)


def _stored(pixels: tf.Tensor) -> tf.Tensor:
    """Returns an image [H, W, 3] as `image_files.read_image` stores it: not larger, and as JPEG."""
    shape = tf.shape(pixels, tf.int64)[:2]
    smaller = _stored_size(shape)
    pixels = tf.cond(
        tf.reduce_any(smaller < shape),
        lambda: crops.to_uint8(
            tf.image.resize(
                pixels, tf.cast(smaller, tf.int32), tf.image.ResizeMethod.LANCZOS3, antialias=True
            )
        ),
        lambda: pixels,
    )
    pixels = tf.ensure_shape(pixels, [None, None, 3])
    return tf.io.decode_jpeg(tf.io.encode_jpeg(pixels, "rgb", image_files.JPEG_QUALITY), channels=3)


def _on_white(pixels: tf.Tensor) -> tf.Tensor:
    """Returns an image [H, W, 4] uint8 on white, [H, W, 3]."""
    colour, alpha = tf.split(tf.cast(pixels, tf.float32), [3, 1], axis=2)
    return crops.to_uint8((colour * alpha + _WHITE * (255.0 - alpha)) / 255.0)


def _upright(pixels: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors an image as one of the eight values of EXIF's orientation asks for."""

    def one_of(values: tuple[int, ...]) -> tf.Tensor:
        return tf.reduce_any(turn == tf.constant(values, tf.int64))

    pixels = tf.cond(
        one_of(_LYING), lambda: tf.transpose(pixels, [1, 0, 2]), lambda: tf.identity(pixels)
    )
    pixels = tf.cond(one_of(_MIRRORED), lambda: pixels[:, ::-1], lambda: tf.identity(pixels))
    pixels = tf.cond(one_of(_UPSIDE_DOWN), lambda: pixels[::-1], lambda: tf.identity(pixels))
    return tf.ensure_shape(pixels, [None, None, 3])
