"""A graph finds the data of a JPEG where `media.jpeg_scans` finds them, whatever the bytes are."""

import random

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import odd_images
from tfav.export.serving import jpeg_data
from tfav.media import jpeg_scans

KINDS = {
    "plain": {},
    "progressive": {"progressive": True},
    "restart markers": {"restart_marker_blocks": 3},
    "grey": {},
}


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def read(file):
    scans = jpeg_data.read(tf.io.decode_raw(file, tf.uint8))
    return scans, jpeg_data.filled(file, scans)


def check(content):
    right, (found, filled) = jpeg_scans.read(content), read(content)
    assert bool(found.complete) == right.complete and bool(found.closed) == right.closed
    if right.closed:  # else it is refused for that
        assert filled.numpy() == jpeg_scans.filled(content, right)


@pytest.mark.parametrize("kind", KINDS)
def test_the_data_of_a_jpeg_end_at_the_same_places(kind):
    image = Image.fromarray(np.asarray(odd_images.noise()))
    image = image.convert("L") if kind == "grey" else image
    whole = odd_images.encoded(image, **KINDS[kind])
    scans, _ = read(whole)
    assert scans.shape.numpy().tolist() == [120, 90, 1 if kind == "grey" else 3]
    assert scans.closed and scans.complete and scans.plain == (kind in ("plain", "grey"))
    check(whole)
    draw = random.Random(kind)
    for _ in range(40):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 3, 20])):
            at = draw.randrange(draw.choice([700, len(content)]))
            content[at] = draw.choice([0xFF, 0xD9, 0xDA, 0xC4, 0xD0, draw.randrange(256)])
        check(bytes(content[: draw.choice([len(content), draw.randrange(4, len(content))])]))
