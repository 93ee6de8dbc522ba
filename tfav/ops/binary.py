"""Numbers and names in the bytes of a file, read in a graph."""

import tensorflow as tf


def number(content: tf.Tensor, place: tf.Tensor | int, width: int, big: bool = False) -> tf.Tensor:
    """Returns the number of `width` bytes at a place, [] int64; of what the file holds of them.

    Args:
      content: [N] uint8.
      place: [] int64.
      width: at most 7 bytes.
      big: whether the most significant byte comes first.
    """
    found = tf.cast(content[place : place + width], tf.int64)
    scale = [256**i for i in range(width)]
    scale = tf.constant(scale[::-1] if big else scale, tf.int64)
    return tf.reduce_sum(found * scale[: tf.size(found)])


def stands_at(content: tf.Tensor, place: tf.Tensor, name: bytes) -> tf.Tensor:
    """Says whether a file [N] uint8 holds `name` at a place [] int64, [] bool."""
    found = content[place : place + len(name)]
    return tf.cond(
        tf.size(found) == len(name),
        lambda: tf.reduce_all(found == tf.constant(list(name), tf.uint8)),
        lambda: tf.constant(False),
    )
