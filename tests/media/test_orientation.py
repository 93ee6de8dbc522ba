"""Which way up an image is: EXIF alone says it, and the graph of the server reads the same."""

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import odd_images
from tests.odd_images import LONG, chunk, exif, with_app1
from tfav.export.serving import image_headers
from tfav.media import image_files, orientation

EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
JPEG = odd_images.encoded(odd_images.noise())


def png(*chunks):
    pixels = np.asarray(odd_images.noise())
    return odd_images.png(90, 120, 8, 2, zlib.compress(odd_images.rows(pixels)), *chunks)


FILES = {  # content, orientation
    "none": (JPEG, 1),
    "SHORT, big-endian": (with_app1(JPEG, EXIF + exif(6)), 6),
    "SHORT, little-endian": (with_app1(JPEG, EXIF + exif(8, order="<")), 8),
    "LONG, big-endian": (with_app1(JPEG, EXIF + exif(6, LONG)), 6),
    "LONG, little-endian": (with_app1(JPEG, EXIF + exif(5, LONG, "<")), 5),
    "BYTE": (with_app1(JPEG, EXIF + exif(6 << 24, 1)), 1),
    "no value of EXIF": (with_app1(JPEG, EXIF + exif(9)), 9),
    "cut": (with_app1(JPEG, EXIF + exif(6)[:13]), 1),
    "the first of two": (with_app1(with_app1(JPEG, EXIF + exif(3)), EXIF + exif(6)), 6),
    "behind XMP": (with_app1(with_app1(JPEG, EXIF + exif(6)), XMP + odd_images.xmp(3)), 6),
    "XMP alone": (with_app1(JPEG, XMP + odd_images.xmp(6)), 1),
    "a PNG": (png(chunk(b"eXIf", exif(6))), 6),
    "a PNG, the first of two": (png(chunk(b"eXIf", exif(6)), chunk(b"eXIf", exif(3))), 6),
    "a PNG, XMP": (png(chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + odd_images.xmp(6))), 1),
}


@pytest.mark.parametrize("name", FILES)
def test_the_orientation_of_a_file_is_read_alike_in_python_and_in_a_graph(name):
    content, right = FILES[name]
    image = Image.open(io.BytesIO(content))
    assert orientation.read(image, content) == right
    values = tf.io.decode_raw(content, tf.uint8)
    where = image_headers.in_png(values)[0] if b"PNG" in content[:4] else None
    where = image_headers.in_jpeg(values) if where is None else where
    assert image_headers.read_orientation(values, where) == right


@pytest.mark.parametrize("kind", ["WEBP", "TIFF"])
@pytest.mark.parametrize("wanted", range(1, 9))
def test_every_turn_is_that_of_the_standard(tmp_path, kind, wanted):
    tags = Image.Exif()
    tags[0x0112] = wanted
    pixels = np.zeros([20, 40, 3], np.uint8)
    pixels[:10, :20] = 255  # the corner where row 0 and column 0 of the stored image meet
    lossless = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(pixels).save(tmp_path / "x", kind, exif=tags, **lossless)
    jpeg, height, width = image_files.read_image(tmp_path / "x")
    found = tf.io.decode_jpeg(jpeg).numpy()[..., 0] > 127
    assert (height, width) == ((40, 20) if wanted > 4 else (20, 40))
    on_top = found[: height // 2].mean() > found[height // 2 :].mean()
    on_left = found[:, : width // 2].mean() > found[:, width // 2 :].mean()
    # Where the standard shows that corner: row 0 is at the top for 1 and 2, and so on.
    assert on_top == (wanted in (1, 2, 5, 6)) and on_left == (wanted in (1, 4, 5, 8))
