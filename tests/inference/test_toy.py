"""The toy pair that ships with the package: it loads in seconds, and says what it lacks."""

import base64
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tfav
from tfav import registry
from tfav.commands import load
from tfav.export.parity import golden
from tfav.inference import embedders

ROOT = pathlib.Path(tfav.__file__).parent.parent
FOLDER = ROOT / "tfav" / "toy"


@pytest.fixture(scope="module")
def toy():
    return tfav.load("toy")


def test_the_toy_embeds_a_voice_and_a_face_into_the_space_that_its_files_name(toy):
    assert toy.modalities == ("audio", "image")
    parity = json.loads((FOLDER / "parity.json").read_text("utf-8"))
    assert toy.embedding_space == parity["embedding_space"]
    known = json.loads((FOLDER / "golden.json").read_text("utf-8"))
    size = {modality: len(known[modality]["embedding"]) for modality in toy.modalities}
    space = f"embedding_space='{toy.embedding_space}', shares_space=True"
    assert repr(toy) == f"Model(embedding_size={size}, {space})" and toy.embedding_size == size
    voice = toy.embed([golden.clip() / np.float32(golden.FULL_SCALE)])
    pixels = np.frombuffer(base64.b64decode(known["image"]["pixels"]), np.uint8)
    face = toy.embed([pixels.reshape(known["image"]["shape"])])
    for modality, found in (("audio", voice), ("image", face)):
        vector = found.vectors[modality][0]
        assert vector @ np.array(known[modality]["embedding"], np.float32) > 0.9999  # float16
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-3)
    assert toy.similarity(voice, face).shape == (1, 1)


def test_the_toy_takes_no_tensorflow_where_litert_is_there():
    pytest.importorskip("ai_edge_litert")
    script = (
        "import sys, numpy, tfav; toy = tfav.load('toy')\n"
        "toy.embed([0.1 * numpy.sin(numpy.arange(16000, dtype='float32') / 9)])\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)


def test_a_toy_that_was_not_installed_whole_says_which_file_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "_TOY_FOLDER", str(tmp_path))
    (tmp_path / "audio_float16.tflite").write_bytes(b"")
    with pytest.raises(registry.UserError, match="image_float16.tflite of the toy pair is missing"):
        tfav.load("toy")


def test_a_folder_of_that_name_goes_before_the_toy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").mkdir()
    with pytest.raises(registry.UserError, match="toy holds neither saved_model.pb nor"):
        tfav.load("toy")


def test_files_of_two_exports_in_one_folder_are_refused(tmp_path, published):
    for source in (FOLDER / "audio_float16.tflite", f"{published.directory}/image_float32.tflite"):
        target = tmp_path / pathlib.Path(source).name
        target.write_bytes(pathlib.Path(source).read_bytes())
    with pytest.raises(registry.UserError, match="is of the embedding space"):
        tfav.load(tmp_path)


def test_a_folder_of_tflite_files_answers_as_each_of_them_does(tmp_path, classified, rows):
    for path in pathlib.Path(classified.directory).glob("*.tflite"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    model = embedders.load(str(tmp_path))
    assert set(model.files) == {"audio", "image", "flow", "classifier"}
    assert model.files["audio"].endswith("audio_float32.tflite")  # the most exact
    batch: dict[str, np.ndarray] = {}
    for modality, spec in model.items.items():
        batch |= spec.stack(modality, [row[modality][:8_000] for _, row in rows])
    alone = embedders.load(f"{classified.directory}/classifier_float32.tflite")
    for name, value in alone.classify(batch).items():
        np.testing.assert_array_equal(model.classify(batch)[name], value)
    with pytest.raises(registry.UserError, match="holds no localize_....tflite, but audio, cl"):
        model.localize(batch)


def test_the_toy_is_marked_as_one_and_ships_in_wheel_and_sdist():
    assert "no model of real people" in (FOLDER / "README.md").read_text("utf-8")
    card = json.loads((FOLDER / "model_card.json").read_text("utf-8"))
    assert card["data"]["source"] == "synthetic" and card["license"] == "Apache-2.0"
    # setuptools puts package data into both.
    assert "\ntfav = py.typed, toy/*" in (ROOT / "setup.cfg").read_text("utf-8")
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_500_000
