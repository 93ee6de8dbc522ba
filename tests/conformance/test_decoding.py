"""One JPEG has the same pixels at every door, to the last level.

TensorFlow's decoder takes libjpeg's fast transform, others the accurate one: docs/web.md says how
far apart they are. What matters is that nothing of ours takes another than the training does.
`tests/browser/test_maths.py` holds the page to the same pixels.
"""

import functools
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import small
from tfav.data import kinds
from tfav.data.input import crops
from tfav.export.serving import image_file
from tfav.media import limits

SIZE = 48
ITEM = small.item("image", SIZE)
WAYS = [
    {"quality": quality, "subsampling": subsampling, "progressive": progressive}
    for quality in (40, 95)
    for subsampling in (0, 1, 2)
    for progressive in (False, True)
]


def _file(jpeg, folder):
    (folder / "x.jpg").write_bytes(jpeg)
    return kinds.IMAGE.load(folder / "x.jpg", ITEM.spec, limits.DEFAULT)


def _train(jpeg, folder):
    del folder
    row = {"frame_share": tf.zeros([1], tf.float64), "image_seed": tf.zeros([2], tf.int64)}
    return kinds.IMAGE.training("image", ITEM, (1.0, 1.0))(tf.constant([jpeg]), row)["image"]


def _evaluate(jpeg, folder):
    del folder
    return kinds.IMAGE.evaluation("image", ITEM, (1, 1))(tf.constant([jpeg]))["image"]


def _serve(jpeg, folder):
    del folder
    return _served()(tf.constant([jpeg]))[0]


@functools.cache
def _served():
    """A signature's graph, which takes minutes op by op."""

    def read(files):
        return image_file.read("embed_jpeg", ITEM.spec, files)["image"]

    return tf.function(read, input_signature=[tf.TensorSpec([None], tf.string)])


DOORS = {"tfav-embed": _file, "tfav-train": _train, "tfav-eval": _evaluate, "server": _serve}


@pytest.fixture(scope="module")
def jpegs():
    """A noisy image in every way to write it, at the network's size and at two others."""
    found = []
    for width, height in ((SIZE, SIZE), (37, 53), (150, 100)):
        noise = np.random.default_rng(0).integers(0, 256, [height, width, 3], np.uint8)
        for way in WAYS:
            file = io.BytesIO()
            Image.fromarray(noise).save(file, "JPEG", **way)
            found.append(file.getvalue())
    return found


@pytest.mark.parametrize("door", DOORS)
def test_a_jpeg_has_the_pixels_that_tensorflow_decodes(door, jpegs, tmp_path):
    for jpeg in jpegs:
        expected = crops.fit(tf.io.decode_jpeg(jpeg, channels=3), SIZE)
        np.testing.assert_array_equal(DOORS[door](jpeg, tmp_path), expected)


def test_another_decoder_would_be_told_from_it(jpegs):
    """Or the test above would pass whichever a door takes."""
    for jpeg in jpegs:
        fast = crops.fit(tf.io.decode_jpeg(jpeg, channels=3), SIZE).numpy().astype(int)
        accurate = tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")
        difference = np.abs(fast - crops.fit(accurate, SIZE).numpy())
        assert 0 < difference.max() < 16
