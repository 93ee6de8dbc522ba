"""Where the headers of JPEG and PNG files say what a decoder does not tell, found in a graph."""

import tensorflow as tf

from tfav.media import orientation, png_chunks
from tfav.ops import binary


def in_jpeg(content: tf.Tensor) -> tf.Tensor:
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
        is_exif = (marker == 0xFFE1) & binary.stands_at(content, place + 4, orientation.EXIF)
        after = tf.where(
            marker == 0xFFFF, place + 1, place + 2 + tf.maximum(size, 2)
        )  # a fill byte
        return after, tf.where(is_exif, place + 10, found)

    start = [tf.constant(2, tf.int64), tf.constant(-1, tf.int64)]
    return tf.while_loop(walking, step, start)[1]


def in_png(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns where the EXIF of a PNG begins, -1: nowhere, if a colour is clear, and if it ends."""
    total = tf.size(content, tf.int64)

    def walking(place: tf.Tensor, exif: tf.Tensor, clear: tf.Tensor) -> tf.Tensor:
        return (place + 12 <= total) & ~binary.stands_at(content, place + 4, b"IEND")

    def step(place: tf.Tensor, exif: tf.Tensor, clear: tf.Tensor) -> tuple[tf.Tensor, ...]:
        is_exif, is_clear = (
            binary.stands_at(content, place + 4, name) for name in (b"eXIf", b"tRNS")
        )
        after = place + 12 + binary.number(content, place, 4, big=True)
        return after, tf.where(is_exif & (exif < 0), place + 8, exif), clear | is_clear

    start = [
        tf.constant(len(png_chunks.SIGNATURE), tf.int64),
        tf.constant(-1, tf.int64),
        tf.constant(False),
    ]
    place, exif, clear = tf.while_loop(walking, step, start)
    return exif, clear, binary.stands_at(content, place + 4, b"IEND")


def read_orientation(content: tf.Tensor, tiff: tf.Tensor) -> tf.Tensor:
    """Returns the orientation that `media.orientation` defines, [] int64; 1: as it stands.

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
        tags, kinds = numbers(entries[:, :2]), numbers(entries[:, 2:4])
        short, long = numbers(entries[:, 8:10]), numbers(entries[:, 8:12])
        values = tf.where(kinds == orientation.LONG, long, orientation.UPRIGHT)
        values = tf.where(kinds == orientation.SHORT, short, values)
        found = tf.boolean_mask(values, tags == orientation.TAG)
        return tf.concat([found, [orientation.UPRIGHT]], axis=0)[0]

    return tf.cond(tiff >= 0, look, lambda: tf.constant(orientation.UPRIGHT, tf.int64))
