"""Every kind of image file, and every way in which one can be broken."""

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import odd_images
from tfav.media import bad_file, image_files, image_folders, webp_size


def _photo(width=40, height=30):
    across = np.linspace(0, 255, width, dtype=np.uint8)
    down = np.linspace(255, 0, height, dtype=np.uint8)
    pixels = np.stack([np.tile(across, (height, 1)), np.tile(down, (width, 1)).T], axis=-1)
    return Image.fromarray(np.concatenate([pixels, pixels[..., :1] // 2], axis=-1))


def _decoded(jpeg):
    return tf.io.decode_jpeg(jpeg, channels=3).numpy()


def test_an_intact_small_jpeg_keeps_its_bytes(tmp_path):
    _photo().save(tmp_path / "x.jpg", quality=80)
    jpeg, height, width = image_files.read_image(tmp_path / "x.jpg")
    assert jpeg == (tmp_path / "x.jpg").read_bytes()
    assert (height, width) == (30, 40)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("x.png", "RGB"), ("x.png", "P"), ("x.bmp", "RGB"), ("x.webp", "RGB"), ("x.jpg", "CMYK")],
)
def test_other_images_become_rgb_jpeg_that_looks_the_same(tmp_path, name, mode):
    _photo().convert(mode).save(tmp_path / name)
    jpeg, height, width = image_files.read_image(tmp_path / name)
    found = _decoded(jpeg)
    assert found.shape == (height, width, 3) == (30, 40, 3)
    difference = np.abs(found.astype(int) - np.asarray(_photo()).astype(int))
    assert difference.mean() < (25 if mode == "P" else 8)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_grey_images_get_three_channels(tmp_path, name):
    _photo().convert("L").save(tmp_path / name)
    found = _decoded(image_files.read_image(tmp_path / name)[0])
    np.testing.assert_allclose(found[..., 0], np.asarray(_photo().convert("L")), atol=12)


def test_16_bit_grey_keeps_its_range(tmp_path):
    Image.fromarray(np.full((20, 20), 0x8000, np.uint16)).save(tmp_path / "x.png")
    found = _decoded(image_files.read_image(tmp_path / "x.png")[0])
    assert found.mean() == pytest.approx(128, abs=2)  # 0x8000 >> 8 = 128


def test_transparency_lies_on_white(tmp_path):
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "x.png")
    assert _decoded(image_files.read_image(tmp_path / "x.png")[0]).min() >= 253


def test_exif_rotation_is_applied_and_its_tag_dropped(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by a quarter to view
    _photo().save(tmp_path / "x.jpg", quality=95, exif=exif)
    jpeg, height, width = image_files.read_image(tmp_path / "x.jpg")
    assert (height, width) == (40, 30)
    upright = np.rot90(np.asarray(_photo()), k=-1).astype(int)
    assert np.abs(_decoded(jpeg) - upright).mean() < 8
    assert not Image.open(io.BytesIO(jpeg)).getexif()


def test_an_8000_by_8000_image_is_shrunk(tmp_path):
    Image.new("RGB", (8000, 8000), (10, 200, 30)).save(tmp_path / "x.jpg")
    jpeg, height, width = image_files.read_image(tmp_path / "x.jpg", max_side=256)
    assert (height, width) == (256, 256)
    np.testing.assert_allclose(_decoded(jpeg)[128, 128], [10, 200, 30], atol=4)


def test_shrinking_keeps_the_aspect(tmp_path):
    _photo(400, 300).save(tmp_path / "x.jpg")
    assert image_files.read_image(tmp_path / "x.jpg", max_side=100)[1:] == (75, 100)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_its_end_marker_alone_is_encoded_anew(tmp_path, missing):
    _photo().save(tmp_path / "x.jpg", quality=95)
    whole = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(whole[:-missing])
    jpeg, _, _ = image_files.read_image(tmp_path / "x.jpg")
    assert np.abs(_decoded(jpeg).astype(int) - _decoded(whole).astype(int)).max() < 8
    (tmp_path / "x.jpg").write_bytes(whole[:-8])
    with pytest.raises(bad_file.BadFile, match="cut short"):
        image_files.read_image(tmp_path / "x.jpg")


def test_what_follows_the_end_marker_is_dropped(tmp_path):
    _photo().save(tmp_path / "x.jpg")
    with open(tmp_path / "x.jpg", "ab") as file:
        file.write(b"trailer of some camera")
    jpeg, _, _ = image_files.read_image(tmp_path / "x.jpg")
    assert jpeg.endswith(b"\xff\xd9") and _decoded(jpeg).shape == (30, 40, 3)


def test_a_folder_stands_for_its_images_by_number(tmp_path):
    for name in ("10.jpg", "2.JPG", "2b.png", "001.jpg", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).touch()
    found = image_folders.image_paths(["first.png", str(tmp_path)])
    names = ["001.jpg", "2.JPG", "2b.png", "10.jpg"]
    assert found == ["first.png", *(str(tmp_path / name) for name in names)]


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(bad_file.BadFile, match=r"folder without images \(\.jpg"):
        image_folders.image_paths([str(tmp_path)])


@pytest.mark.parametrize(
    ("kind", "options"),
    [(b"VP8 ", {}), (b"VP8L", {"lossless": True}), (b"VP8X", {"xmp": b"<x/>"})],
)
def test_the_size_of_a_webp_is_known_before_its_decoder_is_made(kind, options):
    file = io.BytesIO()
    _photo(300, 77).save(file, "WEBP", **options)
    assert file.getvalue()[12:16] == kind
    assert webp_size.read(file.getvalue()) == (300, 77)
    assert webp_size.read(file.getvalue()[:29]) is None
    assert webp_size.read(b"RIFF1234WAVE" + file.getvalue()[12:]) is None


@pytest.mark.parametrize("depth", [2, 4, 16])
def test_one_clear_colour_of_any_depth_lies_on_white(tmp_path, depth):
    """The upper half has the clear colour, the lower one is black."""
    values = np.zeros([20, 24], ">u2" if depth == 16 else np.uint8)
    values[:10] = 1
    packed = odd_images.rows(values) if depth == 16 else odd_images.packed_grey(values, depth)
    content = odd_images.png(24, 20, depth, 0, zlib.compress(packed), odd_images.clear(1))
    (tmp_path / "x.png").write_bytes(content)
    found = _decoded(image_files.read_image(tmp_path / "x.png")[0])
    assert found[:8].min() > 245 and found[-8:].max() < 10


def test_strips_of_jpeg_that_end_early_are_refused(tmp_path):
    (tmp_path / "x.tif").write_bytes(odd_images.strips_of_jpeg(odd_images.noise(), 1.0))
    assert image_files.read_image(tmp_path / "x.tif")[1:] == (120, 90)
    (tmp_path / "x.tif").write_bytes(odd_images.strips_of_jpeg(odd_images.noise(), 0.5))
    with pytest.raises(bad_file.BadFile, match="cut short"):
        image_files.read_image(tmp_path / "x.tif")


@pytest.mark.parametrize(
    ("values", "kind", "reason"),
    [
        (np.full([20, 20], 0.5, np.float32), "TIFF", "holds float values"),
        (np.full([20, 20], 200, np.int32), "TIFF", "holds signed or 32-bit values"),
        (np.full([20, 20], 255, np.uint16), "TIFF", "is almost black: its 16-bit values"),
        (np.full([20, 20], 4095, np.uint16), "TIFF", "is almost black: its 16-bit values"),
        (np.full([20, 20], 4095, np.uint16), "PNG", "is almost black: its 16-bit values"),
        (np.full([20, 20], 4096, np.uint16), "TIFF", ""),
        (np.full([20, 20], 4096, np.uint16), "PPM", ""),
        (np.full([20, 20], 0, np.uint8), "TIFF", ""),
    ],
)
def test_values_whose_range_nothing_tells_are_refused(tmp_path, values, kind, reason):
    Image.fromarray(values).save(tmp_path / "x", kind)
    if not reason:
        found = _decoded(image_files.read_image(tmp_path / "x")[0])
        assert found.mean() == pytest.approx(16 if values.any() else 0, abs=1)  # 4096 >> 8
        return
    with pytest.raises(bad_file.BadFile, match=reason):
        image_files.read_image(tmp_path / "x")


def _cut(name):
    def make(path):
        Image.effect_noise((200, 200), 90).convert("RGB").save(path, name)
        path.write_bytes(path.read_bytes()[:4000])

    return make


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"GIF? no" * 99), "not readable as an image"),
        (_cut("JPEG"), "is cut short or damaged"),
        (_cut("PNG"), "is cut short or damaged"),
        (lambda path: Image.new("RGB", (1, 1)).save(path, "JPEG"), "1x1 pixels.*at least 16"),
        (
            lambda path: Image.new("RGB", (5000, 20)).save(path, "PNG"),
            "512x2 once it is shrunk",
        ),
        (lambda path: Image.new("1", (20_000, 20_000)).save(path, "PNG"), "more pixels than --max"),
    ],
)
def test_an_image_that_cannot_be_used_is_refused_with_the_reason(tmp_path, make, reason):
    make(tmp_path / "x.jpg")
    with pytest.raises(bad_file.BadFile, match=reason):
        image_files.read_image(tmp_path / "x.jpg")


def test_stray_bytes_between_segments_go_and_the_console_hears_nothing_of_them(tmp_path, capfd):
    image = _photo()
    image.save(tmp_path / "clean.jpg")
    clean = (tmp_path / "clean.jpg").read_bytes()
    end = 4 + int.from_bytes(clean[4:6], "big")  # of the first segment, behind its marker
    stray = clean[:end] + b"\0\1\xff\0\2" + clean[end:]
    (tmp_path / "stray.jpg").write_bytes(stray)
    kept, height, width = image_files.read_image(tmp_path / "stray.jpg")
    assert (kept, height, width) == (clean, 30, 40)
    assert capfd.readouterr().err == ""
    np.testing.assert_array_equal(_decoded(stray), _decoded(clean))  # so no embedding changes
    assert "extraneous bytes" in capfd.readouterr().err  # what TensorFlow would say each time
