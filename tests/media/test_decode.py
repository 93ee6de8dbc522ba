"""Every kind of sound and image file, and every way in which one can be broken."""

import io
import struct

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from tfav.media import decode

RATE = 16_000


def _tone(rate=RATE, seconds=0.5, hz=440.0, peak=0.5):
    return (peak * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(
        np.float32
    )


def _photo(width=40, height=30):
    across = np.linspace(0, 255, width, dtype=np.uint8)
    down = np.linspace(255, 0, height, dtype=np.uint8)
    pixels = np.stack([np.tile(across, (height, 1)), np.tile(down, (width, 1)).T], axis=-1)
    return Image.fromarray(np.concatenate([pixels, pixels[..., :1] // 2], axis=-1))


def _decoded(jpeg):
    return tf.io.decode_jpeg(jpeg, channels=3).numpy()


# Sound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("WAV", "PCM_16", 1 / 32768),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "DOUBLE", 1e-7),
        ("WAVEX", "PCM_16", 1 / 32768),
        ("WAVEX", "PCM_24", 1e-6),
        ("WAVEX", "FLOAT", 1e-7),
        ("WAV", "ULAW", 0.02),
        ("FLAC", "PCM_16", 1 / 32768),
        ("FLAC", "PCM_24", 1e-6),
    ],
)
def test_lossless_sound_comes_back_within_its_resolution(tmp_path, kind, subtype, tolerance):
    soundfile.write(tmp_path / "x", _tone(), RATE, format=kind, subtype=subtype)
    found = decode.read_audio(tmp_path / "x")
    assert found.dtype == np.float32 and found.shape == (8000,)
    np.testing.assert_allclose(found, _tone(), atol=tolerance)


@pytest.mark.parametrize("name", ["x.ogg", "x.mp3"])
def test_lossy_sound_comes_back_alike(tmp_path, name):
    soundfile.write(tmp_path / name, _tone(44_100), 44_100)
    found = decode.read_audio(tmp_path / name)
    assert abs(len(found) - 8000) < 2000  # MP3 pads to whole frames
    spectrum = np.abs(np.fft.rfft(found[1000:7000]))
    assert np.argmax(spectrum) * RATE / 6000 == pytest.approx(440, abs=3)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_other_rates_become_16_khz(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", _tone(rate), rate, subtype="FLOAT")
    found = decode.read_audio(tmp_path / "x.wav")
    assert len(found) == pytest.approx(8000, abs=1)
    np.testing.assert_allclose(found[800:7000], _tone()[800:7000], atol=2e-3)


def test_what_lies_above_8_khz_does_not_fold_back(tmp_path):
    soundfile.write(tmp_path / "x.wav", _tone(44_100, hz=11_000) + 0.01, 44_100, subtype="FLOAT")
    assert np.abs(decode.read_audio(tmp_path / "x.wav")[800:7000] - 0.01).max() < 1e-3


def test_stereo_gives_the_mean_or_the_left_channel(tmp_path):
    left, right = _tone(), _tone(hz=300.0)
    soundfile.write(tmp_path / "x.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(decode.read_audio(tmp_path / "x.wav"), (left + right) / 2, atol=1e-6)
    np.testing.assert_array_equal(decode.read_audio(tmp_path / "x.wav", channel="left"), left)


def test_16_bit_samples_survive_unchanged(tmp_path):
    samples = np.array([-32768, -1, 0, 1, 32767] * 400, dtype=np.int16)
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="PCM_16")
    found = decode.to_pcm16(decode.read_audio(tmp_path / "x.wav"))
    np.testing.assert_array_equal(found, samples)


def test_overshoot_is_clipped_not_wrapped():
    assert list(decode.to_pcm16(np.array([1.5, -1.5, 1.0], np.float32))) == [32767, -32768, 32767]


def _nan(path):
    samples = _tone()
    samples[[3, 5]] = [np.nan, np.inf]
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def _cut_flac(path):
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 16_000), RATE, format="FLAC")
    path.write_bytes(path.read_bytes()[:9000])


def _broken_wave(path):
    path.write_bytes(b"RIFF" + struct.pack("<I", 4) + b"WAVE")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"not sound at all" * 99), "not readable as sound"),
        (_broken_wave, "not readable as sound"),
        (_cut_flac, "not readable as sound.*lost sync"),
        (_nan, "2 samples that are NaN or infinite"),
        (lambda path: soundfile.write(path, np.zeros(8000), RATE), "is silent"),
        (lambda path: soundfile.write(path, _tone(seconds=0.09), RATE), "lasts 0.090 s"),
        (lambda path: soundfile.write(path, np.zeros(0), RATE), "lasts 0.000 s"),
        (
            lambda path: soundfile.write(path, _tone() * 20_000, RATE, subtype="FLOAT"),
            r"up to 1e\+04",
        ),
    ],
)
def test_sound_that_cannot_be_used_is_refused_with_the_reason(tmp_path, make, reason):
    make(tmp_path / "x.wav")
    with pytest.raises(decode.BadFile, match=reason):
        decode.read_audio(tmp_path / "x.wav")


def test_a_file_is_described(tmp_path):
    soundfile.write(tmp_path / "x", np.zeros((9, 2)), 44_100, format="WAVEX", subtype="PCM_24")
    assert decode.describe_audio(tmp_path / "x") == "44100 Hz, 2 channels, WAVEX PCM_24"


# Images ---------------------------------------------------------------------------------------


def test_an_intact_small_jpeg_keeps_its_bytes(tmp_path):
    _photo().save(tmp_path / "x.jpg", quality=80)
    jpeg, height, width = decode.read_image(tmp_path / "x.jpg")
    assert jpeg == (tmp_path / "x.jpg").read_bytes()
    assert (height, width) == (30, 40)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("x.png", "RGB"), ("x.png", "P"), ("x.bmp", "RGB"), ("x.webp", "RGB"), ("x.jpg", "CMYK")],
)
def test_other_images_become_rgb_jpeg_that_looks_the_same(tmp_path, name, mode):
    _photo().convert(mode).save(tmp_path / name)
    jpeg, height, width = decode.read_image(tmp_path / name)
    found = _decoded(jpeg)
    assert found.shape == (height, width, 3) == (30, 40, 3)
    difference = np.abs(found.astype(int) - np.asarray(_photo()).astype(int))
    assert difference.mean() < (25 if mode == "P" else 8)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_grey_images_get_three_channels(tmp_path, name):
    _photo().convert("L").save(tmp_path / name)
    found = _decoded(decode.read_image(tmp_path / name)[0])
    np.testing.assert_allclose(found[..., 0], np.asarray(_photo().convert("L")), atol=12)


def test_16_bit_grey_keeps_its_range(tmp_path):
    Image.fromarray(np.full((20, 20), 0x8000, np.uint16)).save(tmp_path / "x.png")
    found = _decoded(decode.read_image(tmp_path / "x.png")[0])
    assert found.mean() == pytest.approx(128, abs=2)  # 0x8000 >> 8 = 128


def test_transparency_lies_on_white(tmp_path):
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "x.png")
    assert _decoded(decode.read_image(tmp_path / "x.png")[0]).min() >= 253


def test_exif_rotation_is_applied_and_its_tag_dropped(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by a quarter to view
    _photo().save(tmp_path / "x.jpg", quality=95, exif=exif)
    jpeg, height, width = decode.read_image(tmp_path / "x.jpg")
    assert (height, width) == (40, 30)
    upright = np.rot90(np.asarray(_photo()), k=-1).astype(int)
    assert np.abs(_decoded(jpeg) - upright).mean() < 8
    assert not Image.open(io.BytesIO(jpeg)).getexif()


def test_an_8000_by_8000_image_is_shrunk(tmp_path):
    Image.new("RGB", (8000, 8000), (10, 200, 30)).save(tmp_path / "x.jpg")
    jpeg, height, width = decode.read_image(tmp_path / "x.jpg", max_side=256)
    assert (height, width) == (256, 256)
    np.testing.assert_allclose(_decoded(jpeg)[128, 128], [10, 200, 30], atol=4)


def test_shrinking_keeps_the_aspect(tmp_path):
    _photo(400, 300).save(tmp_path / "x.jpg")
    assert decode.read_image(tmp_path / "x.jpg", max_side=100)[1:] == (75, 100)


def test_a_jpeg_without_its_end_marker_is_refused(tmp_path):
    _photo().save(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").write_bytes((tmp_path / "x.jpg").read_bytes()[:-2])
    with pytest.raises(decode.BadFile, match="truncated"):
        decode.read_image(tmp_path / "x.jpg")


def test_what_follows_the_end_marker_is_dropped(tmp_path):
    _photo().save(tmp_path / "x.jpg")
    with open(tmp_path / "x.jpg", "ab") as file:
        file.write(b"trailer of some camera")
    jpeg, _, _ = decode.read_image(tmp_path / "x.jpg")
    assert jpeg.endswith(b"\xff\xd9") and _decoded(jpeg).shape == (30, 40, 3)


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_a_part_of_a_sound(tmp_path, rate):
    time = np.arange(2 * rate) / rate
    soundfile.write(tmp_path / "x.wav", np.where(time < 1, 0.25, 0.5), rate, subtype="PCM_24")
    whole = decode.read_audio(tmp_path / "x.wav")
    part = decode.read_audio(tmp_path / "x.wav", start_seconds=0.75, length_seconds=0.5)
    assert len(part) == 8000
    np.testing.assert_allclose(part[40:-40], whole[12_040:19_960], atol=2e-3)
    assert len(decode.read_audio(tmp_path / "x.wav", start_seconds=1.75)) == 4000
    with pytest.raises(decode.BadFile, match="has no sound from 2 s on"):
        decode.read_audio(tmp_path / "x.wav", start_seconds=2.0)


def test_a_sound_file_that_ends_early_is_a_shorter_clip(tmp_path):
    soundfile.write(tmp_path / "x.wav", _tone(), RATE, subtype="PCM_16")
    (tmp_path / "x.wav").write_bytes((tmp_path / "x.wav").read_bytes()[: 44 + 2 * 5000])
    np.testing.assert_allclose(decode.read_audio(tmp_path / "x.wav"), _tone()[:5000], atol=1e-4)


def test_a_folder_stands_for_its_pictures_by_number(tmp_path):
    for name in ("10.jpg", "2.JPG", "2b.png", "001.jpg", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).touch()
    found = decode.picture_files(["first.png", str(tmp_path)])
    names = ["001.jpg", "2.JPG", "2b.png", "10.jpg"]
    assert found == ["first.png", *(str(tmp_path / name) for name in names)]


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(decode.BadFile, match=r"folder without pictures \(\.jpg"):
        decode.picture_files([str(tmp_path)])


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
        (_cut("JPEG"), "not readable as an image.*truncated"),
        (_cut("PNG"), "not readable as an image"),
        (lambda path: Image.new("RGB", (1, 1)).save(path, "JPEG"), "1x1 pixels.*at least 16"),
        (lambda path: Image.new("RGB", (5000, 20)).save(path, "PNG"), "512x2 pixels"),
        (lambda path: Image.new("1", (20_000, 20_000)).save(path, "PNG"), "decompression bomb"),
    ],
)
def test_an_image_that_cannot_be_used_is_refused_with_the_reason(tmp_path, make, reason):
    make(tmp_path / "x.jpg")
    with pytest.raises(decode.BadFile, match=reason):
        decode.read_image(tmp_path / "x.jpg")
