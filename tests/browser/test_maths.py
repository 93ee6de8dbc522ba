"""The page's own arithmetic in Node.js against what it is a twin of: soxr, TensorFlow, hearing."""

import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
import soxr
import tensorflow as tf
from PIL import Image

import tfav
from tfav import hearing
from tfav.browser import server
from tfav.data import kinds
from tfav.data.input import crops
from tfav.media import limits, orientation

NODE = shutil.which("node")
PAGE = pathlib.Path(server.__file__).with_name("page")
pytestmark = pytest.mark.skipif(NODE is None, reason="no Node.js on PATH")


def run(tmp_path, body: str):
    """Returns what JavaScript returns; `bytes(NAME)` and `floats(NAME)` read files."""
    script = tmp_path / "script.mjs"
    script.write_text(
        f"""import fs from "node:fs";
        const page = (name) => import({json.dumps(PAGE.as_uri())} + "/" + name);
        const bytes = (name) => new Uint8Array(fs.readFileSync(name));
        const floats = (name) => new Float32Array(bytes(name).slice().buffer);
        const found = await (async () => {{ {body} }})();
        process.stdout.write(JSON.stringify(found));"""
    )
    done = subprocess.run([NODE, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000])
def test_resampling_is_that_of_soxr(tmp_path, rate):
    random = np.random.default_rng(0)
    time = np.arange(rate) / rate
    wave = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.1 * random.standard_normal(rate)
    wave.astype(np.float32).tofile(tmp_path / "wave")
    body = f"""const {{ resample }} = await page("resample.js");
        return Array.from(resample(floats("wave"), {rate}, 16000));"""
    found = np.array(run(tmp_path, body))
    expected = soxr.resample(wave.astype(np.float32), rate, 16_000, quality="HQ")
    assert found.shape == expected.shape == (16_000,)
    middle = slice(200, -200)  # both cut their filters off at the ends, each in its way
    difference = np.sqrt(np.mean((found - expected)[middle] ** 2))
    assert difference < 2e-3 * np.sqrt(np.mean(expected**2))


JPEGS = {
    f"{name}_{subsampling}_{quality}_{progressive}": (size, subsampling, quality, progressive)
    for name, size in (("even", (64, 48)), ("odd", (37, 53)))
    for subsampling in (0, 1, 2)
    for quality in (30, 95)
    for progressive in (False, True)
}


def test_a_jpeg_has_the_pixels_that_tensorflow_decodes(tmp_path):
    random = np.random.default_rng(0)
    for name, ((width, height), subsampling, quality, progressive) in JPEGS.items():
        pixels = random.integers(0, 256, [height // 8 + 1, width // 8 + 1, 3], np.uint8)
        image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
        how = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
        image.save(tmp_path / f"{name}.jpg", restart_marker_blocks=quality // 30 % 3, **how)
    image.convert("L").save(tmp_path / "grey.jpg")
    names = [*JPEGS, "grey"]
    body = f"""const {{ decode }} = await page("jpeg.js");
        return {json.dumps(names)}.map((name) => {{
            const {{ width, height, data }} = decode(bytes(name + ".jpg"));
            return [height, width, Array.from(data)];
        }});"""
    for name, (height, width, data) in zip(names, run(tmp_path, body)):
        expected = tf.io.decode_jpeg((tmp_path / f"{name}.jpg").read_bytes(), channels=3).numpy()
        np.testing.assert_array_equal(np.reshape(data, [height, width, 3]), expected, name)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_jpeg_that_is_cut_short_is_told(tmp_path, cut):
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "x.jpg")
    whole = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(whole[: int(cut * len(whole))])
    body = """const { decode } = await page("jpeg.js");
        try { decode(bytes("x.jpg")); return ""; } catch (error) { return error.message; }"""
    assert run(tmp_path, body).startswith("That image is ")


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_the_header_tells_size_components_and_orientation(tmp_path, turn):
    exif = Image.Exif()
    exif[orientation.TAG] = turn
    Image.new("RGB", (40, 30)).save(tmp_path / "x.jpg", exif=exif)
    body = 'const { header } = await page("jpeg_header.js"); return header(bytes("x.jpg"));'
    expected = {"width": 40, "height": 30, "components": 3, "orientation": turn}
    assert run(tmp_path, body) == expected


@pytest.mark.parametrize("shape", [(100, 100), (61, 200), (300, 17), (20, 20), (48, 48)])
def test_an_image_is_fitted_as_tensorflow_fits_it(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, [*shape, 3], np.uint8)
    pixels.tofile(tmp_path / "pixels")
    body = f"""const {{ fit }} = await page("image_files.js");
        const image = {{ height: {shape[0]}, width: {shape[1]}, data: bytes("pixels") }};
        return Array.from(fit(image, 48).data);"""
    found = np.reshape(run(tmp_path, body), [48, 48, 3])
    expected = crops.fit(tf.constant(pixels), 48).numpy().astype(int)
    assert np.abs(found - expected).max() <= 1  # a half may be rounded either way
    assert np.mean(found != expected) < 0.01


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_wav_file_has_the_samples_that_tfav_embed_reads(tmp_path, subtype):
    wave = np.random.default_rng(0).uniform(-1, 1, [4_000, 2])
    soundfile.write(tmp_path / "x.wav", wave, 16_000, subtype=subtype)
    body = """const { prepared } = await page("audio_files.js"), wav = await page("wav.js");
        const { channels, rateHz } = wav.read(bytes("x.wav"));
        return Array.from(prepared(channels, rateHz, 10).clip);"""
    expected = kinds.AUDIO.load(tmp_path / "x.wav", kinds.AUDIO.item("audio", {}), limits.DEFAULT)
    np.testing.assert_array_equal(np.array(run(tmp_path, body), np.float32), expected)


def test_what_is_heard_is_that_of_python(tmp_path):
    clip = np.arange(20_000, dtype=np.float32)
    clip.tofile(tmp_path / "clip")
    its = hearing.Hearing(max_seconds=1.0, min_seconds=0.5, window_seconds=0.3)
    body = f"""const {{ heard, windows, mean }} = await page("hearing.js");
        const its = {json.dumps(its.facts())};
        const of = (n) => windows(heard(floats("clip").subarray(0, n), its), its);
        const parts = [5, 8000, 20000].map(of);
        return [parts.map((x) => x.map((y) => Array.from(y))), mean([[1, 0], [0, 1]], [3, 4])];"""
    parts, mean = run(tmp_path, body)
    for found, length in zip(parts, (5, 8_000, 20_000)):
        expected = its.windows(its.heard(clip[:length]))
        assert [list(x) for x in found] == [x.tolist() for x in expected]
    assert mean == pytest.approx([0.6, 0.8])  # (3, 4) / 5


def test_shares_add_to_one_and_lack_where_logits_do_not_add_up(tmp_path):
    # The lead of class 0 over class 1 is 4 - 1 = 3: 1 of it by audio, 2 by the image.
    body = """const { shares } = await page("classify.js");
        const alone = { audio: [2, 1, 0], image: [2, 0, 0] };
        return [shares([4, 1, 0], alone), shares([4, 1, 1], alone)];"""
    found, lacking = run(tmp_path, body)
    assert found == pytest.approx({"audio": 1 / 3, "image": 2 / 3}) and lacking is None


def test_a_map_is_seen_over_the_image_alone_and_its_place_is_told(tmp_path):
    # A map of 4 x 4 over a square of 8: the image covers its rows 2 to 5, which are 1 and 2 of it.
    body = """const { overImage, where } = await page("locate.js");
        const map = [9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9];
        const seen = overImage(map, 4, { size: 8, left: 0, top: 2, width: 8, height: 4 });
        return [seen, where(seen), where({ ...seen, data: seen.data.map(() => 0) })];"""
    seen, where, nowhere = run(tmp_path, body)
    assert seen == {"width": 4, "height": 2, "data": [0, 0, 0, 0, 0, 0, 0, 1]}
    assert (where, nowhere) == ("at the bottom right", "")


def test_the_toy_hears_as_its_golden_file_says(tmp_path):
    toy = pathlib.Path(tfav.__file__).with_name("toy") / "golden.json"
    known = json.loads(toy.read_text("utf-8"))["audio"]
    body = f"""const {{ spectrogram }} = await page("spectrogram.js");
        const known = JSON.parse(fs.readFileSync({json.dumps(str(toy))})).audio;
        const clip = Float32Array.from(known.waveform_pcm16, (x) => x / 32768);
        return spectrogram(clip, known.frontend);"""
    np.testing.assert_allclose(run(tmp_path, body), known["log_mel"], atol=1e-4)
