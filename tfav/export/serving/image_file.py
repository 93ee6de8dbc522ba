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
from tfav.export.serving import requests
from tfav.media import image_files
from tfav.ops import binary

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_MIRRORED, _UPSIDE_DOWN, _LYING = (2, 3, 6, 7), (3, 4, 7, 8), (5, 6, 7, 8)
_WHITE = 255.0
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
    shape = tf.io.extract_jpeg_shape(file)
    orientation = _orientation(content, _app1(content))
    ends = tf.reduce_any((content[:-1] == 0xFF) & (content[1:] == 0xD9))
    checks = [*_sizes(signature, "a JPEG file", shape[:2]), _whole(signature, "a JPEG file", ends)]
    with requests.in_order(checks):
        file = tf.identity(file)
    is_rgb, is_small = tf.equal(shape[2], 3), tf.reduce_max(shape[:2]) <= image_files.MAX_SIDE
    return tf.cond(
        is_rgb & is_small & tf.equal(orientation, 1),
        lambda: tf.io.decode_jpeg(file, channels=3),
        # Pillow's way of decoding it, before it is encoded anew.
        lambda: _stored(
            _upright(
                tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"), orientation
            )
        ),
    )


def _png(signature: str, file: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    exif, transparent, ends = _png_chunks(content)
    width, height = (binary.number(content, place, 4, big=True) for place in (16, 20))
    colour = binary.number(content, 25, 1)  # 4 and 6 have an alpha channel
    sizes = _sizes(signature, "a PNG file", tf.stack([height, width]))
    with requests.in_order([*sizes, _whole(signature, "a PNG file", ends)]):
        file = tf.identity(file)
    pixels = tf.cond(
        transparent | (colour >= 4),
        lambda: _on_white(tf.io.decode_png(file, channels=4)),
        lambda: tf.io.decode_png(file, channels=3),
    )
    return _stored(_upright(pixels, _orientation(content, exif)))


def _sizes(signature: str, name: str, shape: tf.Tensor) -> list:
    pixels = tf.reduce_prod(tf.cast(shape, tf.int64))
    return [
        *requests.wide_enough(signature, name, shape),
        lambda: requests.refuse_unless(
            pixels <= _MAX_PIXELS,
            f"{signature}: {name} says that it has",
            pixels,
            f"pixels, send at most {_MAX_PIXELS}",
        ),
    ]


def _whole(signature: str, name: str, ends: tf.Tensor) -> Callable[[], tf.Operation]:
    cut = f"{signature}: {name} has no end, it was cut short: send the whole file"
    return lambda: requests.refuse_unless(ends, cut)


def _stored(pixels: tf.Tensor) -> tf.Tensor:
    """Returns an image [H, W, 3] as `image_files.read_image` stores it: not larger, and as JPEG."""
    shape = tf.shape(pixels)[:2]
    scale = image_files.MAX_SIDE / tf.reduce_max(shape)
    smaller = tf.maximum(tf.cast(tf.round(tf.cast(shape, tf.float64) * scale), tf.int32), 1)
    pixels = tf.cond(
        scale < 1,
        lambda: crops.to_uint8(
            tf.image.resize(pixels, smaller, tf.image.ResizeMethod.LANCZOS3, antialias=True)
        ),
        lambda: pixels,
    )
    pixels = tf.ensure_shape(pixels, [None, None, 3])
    return tf.io.decode_jpeg(tf.io.encode_jpeg(pixels, "rgb", image_files.JPEG_QUALITY), channels=3)


def _on_white(pixels: tf.Tensor) -> tf.Tensor:
    """Returns an image [H, W, 4] uint8 on white, [H, W, 3]."""
    colour, alpha = tf.split(tf.cast(pixels, tf.float32), [3, 1], axis=2)
    return crops.to_uint8((colour * alpha + _WHITE * (255.0 - alpha)) / 255.0)


def _upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors an image as one of the eight values of EXIF's orientation asks for."""

    def one_of(values: tuple[int, ...]) -> tf.Tensor:
        return tf.reduce_any(orientation == tf.constant(values, tf.int64))

    pixels = tf.cond(
        one_of(_LYING), lambda: tf.transpose(pixels, [1, 0, 2]), lambda: tf.identity(pixels)
    )
    pixels = tf.cond(one_of(_MIRRORED), lambda: pixels[:, ::-1], lambda: tf.identity(pixels))
    pixels = tf.cond(one_of(_UPSIDE_DOWN), lambda: pixels[::-1], lambda: tf.identity(pixels))
    return tf.ensure_shape(pixels, [None, None, 3])


def _app1(content: tf.Tensor) -> tf.Tensor:
    """Returns where the TIFF header of a JPEG's EXIF begins, int64 []; -1: it has none."""
    total = tf.size(content, tf.int64)

    def walking(place: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        marker = binary.number(content, place, 2, big=True)  # 0xFFDA: from here on there are pixels
        return (found < 0) & (place + 4 <= total) & (marker >= 0xFF01) & (marker != 0xFFDA)

    def step(place: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        marker, size = (
            binary.number(content, place, 2, big=True),
            binary.number(content, place + 2, 2, big=True),
        )
        is_exif = (marker == 0xFFE1) & binary.stands_at(content, place + 4, b"Exif\0\0")
        after = tf.where(
            marker == 0xFFFF, place + 1, place + 2 + tf.maximum(size, 2)
        )  # a fill byte
        return after, tf.where(is_exif, place + 10, found)

    start = [tf.constant(2, tf.int64), tf.constant(-1, tf.int64)]
    return tf.while_loop(walking, step, start)[1]


def _png_chunks(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns where the EXIF of a PNG begins, -1: nowhere, if a colour is clear, and if it ends."""
    total = tf.size(content, tf.int64)

    def walking(place: tf.Tensor, exif: tf.Tensor, clear: tf.Tensor) -> tf.Tensor:
        return (place + 12 <= total) & ~binary.stands_at(content, place + 4, b"IEND")

    def step(place: tf.Tensor, exif: tf.Tensor, clear: tf.Tensor) -> tuple[tf.Tensor, ...]:
        is_exif, is_clear = (
            binary.stands_at(content, place + 4, name) for name in (b"eXIf", b"tRNS")
        )
        after = place + 12 + binary.number(content, place, 4, big=True)
        return after, tf.where(is_exif, place + 8, exif), clear | is_clear

    start = [tf.constant(len(_PNG), tf.int64), tf.constant(-1, tf.int64), tf.constant(False)]
    place, exif, clear = tf.while_loop(walking, step, start)
    return exif, clear, binary.stands_at(content, place + 4, b"IEND")


def _orientation(content: tf.Tensor, tiff: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in the first directory of a TIFF header, [] int64; 1: as it stands.

    Args:
      content: [N] uint8.
      tiff: [] int64, where it begins; -1: there is none.
    """

    def look() -> tf.Tensor:
        little = binary.stands_at(content, tiff, b"II")

        def numbers(values: tf.Tensor) -> tf.Tensor:
            """Returns [n] numbers of bytes [n, width]."""
            values = tf.cast(values, tf.int64)
            values = tf.where(little, values, values[:, ::-1])
            return tf.reduce_sum(values * 256 ** tf.range(tf.shape(values, tf.int64)[1]), axis=1)

        def number(place: tf.Tensor, width: int) -> tf.Tensor:
            found = content[place : place + width]
            return tf.reduce_sum(numbers(found[tf.newaxis]))  # 0 where the file has ended

        first = tiff + number(tiff + 4, 4)
        entries = content[first + 2 : first + 2 + 12 * number(first, 2)]
        entries = tf.reshape(entries[: tf.size(entries) // 12 * 12], [-1, 12])
        tags, values = numbers(entries[:, :2]), numbers(entries[:, 8:10])
        found = tf.boolean_mask(values, tags == _ORIENTATION)
        return tf.concat([found, [1]], axis=0)[0]

    return tf.cond(tiff >= 0, look, lambda: tf.constant(1, tf.int64))
