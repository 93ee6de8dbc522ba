"""Golden vectors: what they hold is what the artefacts answer, and enough to port a front-end."""

import base64
import json
import os
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.export import conftest
from tfav.encoders import audio, image
from tfav.export import servable
from tfav.export.lite import tflite
from tfav.export.parity import golden
from tfav.export.serving import saved_model
from tfav.inference import interpreter as interpreters
from tfav.layers import frontend_table
from tfav.recipes import recipe as base


@pytest.fixture(scope="module")
def recipe():
    """Sound, a picture, and two frames of a further modality, each of its own embedding size."""
    encoders = {
        "audio": audio.Tiny(16),
        "image": image.Tiny(16, 32),
        "flow": image.Tiny(8, 16, name="flow"),
    }
    return base.Recipe(conftest.settle(encoders), heads={})


@pytest.fixture(scope="module")
def vectors(recipe):
    """As a port reads them: from JSON."""
    return json.loads(json.dumps(golden.vectors(recipe, {"flow": conftest.FRAMES})))


def waveform(vectors):
    return np.array(vectors["audio"]["waveform_pcm16"], np.float32)[None] / 32768


def pixels(vectors, modality):
    flat = np.frombuffer(base64.b64decode(vectors[modality]["pixels"]), np.uint8)
    return flat.reshape(1, *vectors[modality]["shape"])


def test_the_saved_model_answers_the_vectors(recipe, vectors, tmp_path):
    exported = servable.Servable(recipe, {"flow": conftest.FRAMES})
    saved_model.save(exported, str(tmp_path / "model"), exported.signatures())
    signatures = tf.saved_model.load(str(tmp_path / "model")).signatures
    count = tf.constant([vectors["audio"]["num_samples"]])
    found = {
        "audio": signatures["embed_audio"](
            waveform=tf.constant(waveform(vectors)), num_samples=count
        )
    }
    for modality in ("image", "flow"):
        value = tf.constant(pixels(vectors, modality))
        found[modality] = signatures[f"embed_{modality}"](**{modality: value})
    for modality, answer in found.items():
        expected = vectors[modality]["embedding"]
        np.testing.assert_allclose(answer["embedding"][0], expected, rtol=0, atol=1e-5)
        assert abs(np.linalg.norm(expected) - 1) < 1e-5


@pytest.mark.parametrize("samples", [16_000, 24_000])
def test_the_tflite_answers_the_vectors_padded_or_not(recipe, vectors, tmp_path, samples):
    exported = servable.Servable(recipe, {"flow": conftest.FRAMES})
    tflite.write(exported, str(tmp_path), audio_samples=samples, precisions=("float32",))
    padded = np.full([1, samples], 0.5, np.float32)
    padded[:, :16_000] = waveform(vectors)
    inputs = {
        "audio": {"waveform": padded, "num_samples": np.array([16_000], np.int32)},
        **{m: {m: pixels(vectors, m)} for m in ("image", "flow")},
    }
    for modality, feed in inputs.items():
        path = os.path.join(tmp_path, f"{modality}_float32.tflite")
        runner = interpreters.make(path=path).get_signature_runner(f"embed_{modality}")
        found = runner(**feed)["embedding"][0]
        np.testing.assert_allclose(found, vectors[modality]["embedding"], rtol=0, atol=1e-5)


def test_the_description_alone_makes_the_inputs_again(vectors):
    """Sample by sample, pixel by pixel, with nothing but integers."""
    x, samples = 1, []
    for n in range(16_000):
        buzz = 2000 * abs(2 * (n % 100) - 100) // 100 - 1000
        whistle = 1500 * abs(2 * (n % 23) - 23) // 23 - 750
        samples.append((1 + n // 2000 % 4) * buzz + whistle + x // 1_048_576 - 1024)
        x = (1_103_515_245 * x + 12_345) % 2**31
    assert samples == vectors["audio"]["waveform_pcm16"]
    assert max(map(abs, samples)) < 32_768 // 4
    for modality, frames, size in (("image", 1, 32), ("flow", 2, 16)):
        expected = [
            (x * y // 4 + 5 * x * (c + 1) + 3 * y + 40 * f) % 256
            for f in range(frames)
            for y in range(size)
            for x in range(size)
            for c in range(3)
        ]
        assert pixels(vectors, modality).ravel().tolist() == expected
    assert vectors["image"]["shape"] == [32, 32, 3]
    assert vectors["flow"]["shape"] == [2, 16, 16, 3]


def without_silence(clip, c):
    """Steps in long or outer stretches below the level, one character a step, are cut."""
    least = np.sum(clip**2) / np.sum(np.abs(clip)) * 10 ** (-c["silence_db"] / 20)
    size = c["silence_step_samples"]
    steps = [clip[at : at + size] for at in range(0, len(clip), size)]
    marks = "".join("q" if np.abs(step).max() < least else "l" for step in steps)
    silence = rf"^q+|q+$|q{{{c['silence_steps']},}}"
    marks = re.sub(silence, lambda found: "-" * len(found.group()), marks)
    return np.concatenate([step for step, mark in zip(steps, marks) if mark != "-"])


def twin(audio_vectors):
    """Log-mel as a port computes it: NumPy in float64, and no constant but those of the file."""
    c = audio_vectors["frontend"]
    clip = np.array(audio_vectors["waveform_pcm16"]) / 32768
    if c["silence_db"]:
        clip = without_silence(clip, c)
    if c["level_norm"]:
        clip = clip * np.sum(np.abs(clip)) / max(np.sum(clip**2), c["level_least_squares"])
    clip = c["amplitude"] * clip
    if c["preemphasis"]:
        clip = clip - c["preemphasis"] * np.concatenate([clip[1:2], clip[:-1]])
    length, step = c["frame_length_samples"], c["frame_step_samples"]
    if c["centered"]:
        clip = np.pad(clip, length // 2, "reflect")
    frames = [clip[at : at + length] for at in range(0, len(clip) - length + 1, step)]
    spectrum = np.abs(np.fft.rfft(np.array(frames) * c["window"], c["fft_length"])) ** c["power"]
    bands = []
    for band in c["bands"]:
        first, weights = band["first_bin"], band["weights"]
        bands.append(spectrum[:, first : first + len(weights)] @ np.array(weights))
    log_mel = np.log(np.stack(bands, axis=1) + c["log_offset"])
    if c["instance_norm"]:
        log_mel = log_mel - log_mel.mean(0)
        log_mel = log_mel / np.sqrt(np.mean(log_mel**2, 0) + c["instance_norm_epsilon"])
    return log_mel


def test_the_description_alone_makes_the_fitted_squares(vectors):
    """Weight by weight, in float64; a sum that lies between two numbers may round either way."""
    size = 32
    shapes = [vector["shape"] for vector in vectors["image"]["fit"]]
    # One that shrinks 67 / 32 times, one that grows, and 66 / 4 = 16.5 columns, rounded to 16.
    assert shapes == [[37, 67, 3], [17, 11, 3], [128, 66, 3]]
    for vector in vectors["image"]["fit"]:
        height, width, _ = vector["shape"]
        pixels = np.array(
            [
                [[(x * y // 4 + 5 * x * c + 3 * y) % 256 for c in (1, 2, 3)] for x in range(width)]
                for y in range(height)
            ]
        )
        scale = size / max(height, width)
        inner = [round(height * scale), round(width * scale)]  # Python's rounds to the even one
        rows, columns = (weights(m, n) for m, n in zip((height, width), inner))
        expected = np.full([size, size, 3], 127)
        top, left = ((size - n) // 2 for n in inner)
        fitted = np.rint(np.einsum("ym,xn,mnc->yxc", rows, columns, pixels))
        expected[top : top + inner[0], left : left + inner[1]] = fitted
        found = np.frombuffer(base64.b64decode(vector["fitted"]), np.uint8).reshape(size, size, 3)
        assert np.abs(found - expected).max() <= 1 and (found == expected).mean() > 0.99
    assert (found[:, :8] == 127).all() and (found[:, 24:] == 127).all()
    assert (found[:, 8:24] != 127).mean() > 0.9


def weights(m, n):
    middle = (np.arange(n) + 0.5) * m / n
    far = np.abs(np.arange(m) + 0.5 - middle[:, None]) / max(m / n, 1)
    found = np.maximum(0, 1 - far)
    return found / found.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("preset", ["default", "ssos", "voxceleb2", "dmc_25_10"])
def test_a_port_that_knows_the_file_alone_computes_its_log_mel(preset):
    layer = frontend_table.make(frontend_table.PRESETS.get(preset, {}))
    constants = json.loads(json.dumps(golden.frontend_constants(layer)))
    samples = golden.clip()
    expected = twin({"frontend": constants, "waveform_pcm16": samples.tolist()})
    found = layer(samples[None].astype(np.float32) / 32768)[0][0].numpy()
    assert found.shape == expected.shape == (len(found), layer.num_bands)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("further", [{}, {"level_norm": True, "instance_norm": False}])
def test_a_port_that_knows_the_file_alone_cuts_silence(further):
    layer = frontend_table.make({"silence_db": 60.0, **further})
    constants = json.loads(json.dumps(golden.frontend_constants(layer)))
    samples = golden.clip()
    samples[:777] = samples[5000:5300] = samples[9000:9130] = samples[-100:] = 0
    expected = twin({"frontend": constants, "waveform_pcm16": samples.tolist()})
    image, num_frames = layer(samples[None].astype(np.float32) / 32768)
    # 777 and 300 and 100 hold 48, 18 and 6 whole steps of 16 samples (the clip ends on a step) and
    # 130 seven of them, which are too few: 16000 - 72 * 16 = 14848 samples, 14848 // 160 + 1.
    assert num_frames.numpy().tolist() == [93] == [len(expected)]
    np.testing.assert_allclose(image[0, :93], expected, rtol=0, atol=5e-4)


def test_the_log_mel_of_the_file_is_that_of_the_twin(vectors):
    found = np.array(vectors["audio"]["log_mel"])
    assert found.shape == (101, 40)
    np.testing.assert_allclose(found, twin(vectors["audio"]), rtol=0, atol=5e-5)
    # Written with no more digits than float32 has.
    assert (found.astype(np.float32).astype(str) == found.astype(str)).mean() > 0.99


def test_a_log_spectrogram_has_its_constants_and_its_name():
    encoders = {"audio": audio.Tiny(8, frontend={"kind": "spectrogram"})}
    vectors = golden.vectors(base.Recipe(encoders, heads={}))["audio"]
    assert vectors["frontend"]["name"] == "log_spectrogram"
    # 16000 samples hold (16000 - 512) // 159 + 1 = 98 whole frames.
    assert np.shape(vectors["log_spectrogram"]) == (98, 257)
    assert np.shape(vectors["frontend"]["density"]) == (257,) and vectors["frontend"]["detrend"]


def test_the_file_of_the_demo_is_small(recipe):
    encoders = {"audio": audio.Tiny(64), "image": image.Tiny(64, 48)}
    text = json.dumps(golden.vectors(base.Recipe(encoders, heads={})))
    assert len(text) < 400_000
