import hashlib
import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from tests.export import conftest
from tfav import registry
from tfav.export import publish
from tfav.export.lite import tflite
from tfav.export.options import Inputs
from tfav.export.serving import saved_model
from tfav.inference import artefacts, tflite_embedder

SIDE_FILES = (
    "batching_parameters.txt",
    "drift.csv",
    "golden.json",
    "models.config",
    "parity.json",
)


def tree(directory):
    """Returns every file below a folder with its content."""
    root = pathlib.Path(directory)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def quick(monkeypatch):
    """Leaves out what `published` has done once: the fresh process and the TFLite converter."""

    def write(servable, directory, **_):
        pathlib.Path(directory, "audio_float32.tflite").write_bytes(b"new")
        return {"audio_float32.tflite": "float32"}

    class Unread:
        def __init__(self, path):
            del path

    monkeypatch.setattr(saved_model, "verify", lambda *_: None)
    monkeypatch.setattr(tflite, "write", write)
    monkeypatch.setattr(publish.deployment, "finish", lambda *_: None)
    monkeypatch.setattr(publish.certificate, "_on_phone", lambda *_: {})
    monkeypatch.setattr(publish.tolerances, "measure", lambda *_: {})
    monkeypatch.setattr(tflite_embedder, "TFLiteEmbedder", Unread)
    monkeypatch.setattr(publish.certificate.conversion, "describe", lambda content: {})
    speed = {"milliseconds": {}}
    monkeypatch.setattr(publish.certificate.speed, "measure", lambda content: dict(speed))


def run(recipe, inputs, directory, **changes):
    return conftest.export(recipe, Inputs(inputs), directory, **changes)


def test_the_folder_holds_the_version_the_tflites_and_their_certificate(published):
    assert sorted(os.listdir(published.directory)) == [
        "1",
        "audio_float16.tflite",
        "audio_float32.tflite",
        "batching_parameters.txt",
        "drift.csv",
        "golden.json",
        "image_float16.tflite",
        "image_float32.tflite",
        "models.config",
        "parity.json",
    ]
    assert os.listdir(os.path.dirname(published.directory)) == ["demo"]
    with open(os.path.join(published.directory, "parity.json"), encoding="utf-8") as f:
        written = json.load(f)
    assert written.pop("sha256")  # its seal
    assert written == published.certificate
    assert (written["version"], written["audio_seconds"], written["min_cosine"]) == (1, 0.5, 0.999)


def test_a_second_export_adds_a_version_and_replaces_the_files(recipe, inputs, tmp_path, quick):
    directory = tmp_path / "demo"
    directory.mkdir()
    (directory / "audio_float32.tflite").write_bytes(b"old")
    (directory / "notes.txt").write_bytes(b"mine")
    assert run(recipe, inputs, directory)["version"] == 1
    before = tree(directory)
    assert run(recipe, inputs, directory)["version"] == 2
    after = tree(directory)
    assert after["audio_float32.tflite"] == b"new"
    assert after["notes.txt"] == b"mine"
    assert json.loads(after["parity.json"])["version"] == 2
    assert {n: x for n, x in after.items() if n.startswith("1/")} == {
        n: x for n, x in before.items() if n.startswith("1/")
    }
    assert os.listdir(tmp_path) == ["demo"]


def test_what_the_last_export_left_and_this_one_lacks_goes(recipe, inputs, tmp_path, quick):
    directory = tmp_path / "demo"
    directory.mkdir()

    def leave():
        hashes = {}
        for name in ("audio_float32.tflite", "audio_int8.tflite", "mine.tflite", "labels.txt"):
            (directory / name).write_bytes(b"one\n")
            hashes[name] = {"files": {name: {"sha256": hashlib.sha256(b"one\n").hexdigest()}}}
        hashes["mine.tflite"] = {"files": {"mine.tflite": {"sha256": "another"}}}
        del hashes["labels.txt"]
        hashes["1"] = {"files": {}}
        hashes["../out.tflite"] = {"files": {}}
        text = json.dumps({"classes": ["one"], "artefacts": hashes})
        (directory / "parity.json").write_text(text)

    leave()
    before = tree(directory)
    with pytest.raises(registry.UserError, match="parity failed"):
        run(recipe, inputs, directory, min_cosine=1.1)
    assert tree(directory) == before
    run(recipe, inputs, directory)
    kept = {n for n in tree(directory) if not n.startswith("1/")}
    assert kept == {"audio_float32.tflite", "mine.tflite", *SIDE_FILES}


def test_failed_parity_publishes_nothing_and_leaves_what_was(recipe, inputs, tmp_path, quick):
    directory = tmp_path / "demo"
    directory.mkdir()
    (directory / "audio_float32.tflite").write_bytes(b"old")
    with pytest.raises(registry.UserError, match="parity failed and nothing was published"):
        run(recipe, inputs, directory, min_cosine=1.1)
    assert tree(tmp_path) == {"demo/audio_float32.tflite": b"old"}


def test_a_card_that_fails_publishes_nothing_and_leaves_the_old_artefact(
    recipe, inputs, tmp_path, quick
):
    directory = tmp_path / "demo"
    told = {"model_card.md": "the old card\n"}
    first = conftest.export(recipe, Inputs(inputs), directory, describe=lambda found: told)
    assert (directory / "model_card.md").read_text() == "the old card\n"
    digest = hashlib.sha256(b"the old card\n").hexdigest()
    assert first["side_files"]["model_card.md"] == digest
    before = tree(tmp_path)

    def failing(found):
        raise registry.UserError("the figures of the run are damaged")

    with pytest.raises(registry.UserError, match="figures of the run are damaged"):
        conftest.export(recipe, Inputs(inputs), directory, describe=failing)
    assert tree(tmp_path) == before


def test_a_move_that_fails_puts_everything_back(recipe, inputs, tmp_path, quick):
    directory = tmp_path / "demo"
    (directory / "parity.json" / "a folder in the way").mkdir(parents=True)  # the last to move
    (directory / "audio_float32.tflite").write_bytes(b"old")
    with pytest.raises(registry.UserError, match="nothing was published"):
        run(recipe, inputs, directory)
    assert sorted(os.listdir(directory)) == ["audio_float32.tflite", "parity.json"]
    assert (directory / "audio_float32.tflite").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["demo"]


def test_a_removal_that_fails_puts_everything_back(tmp_path):
    stage, directory = tmp_path / "stage", tmp_path / "demo"
    for folder, names in ((stage, ("new", "both")), (directory, ("both", "old", "older"))):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(f"{folder.name} {name}")
    before = tree(directory)
    with pytest.raises(FileNotFoundError):
        publish._move(str(stage), str(directory), ["new", "both"], ["old", "older", "absent"])
    assert tree(directory) == before


def test_an_interrupt_leaves_nothing(recipe, inputs, tmp_path, quick, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(publish.gates, "check", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, inputs, tmp_path / "demo")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_clip_length_of_nothing_is_refused(recipe, inputs, tmp_path, seconds):
    with pytest.raises(registry.UserError, match="--config.export.audio_seconds="):
        run(recipe, inputs, tmp_path / "demo", audio_seconds=seconds)


def test_without_inputs_there_is_no_parity_and_no_export(recipe, inputs, tmp_path):
    with pytest.raises(registry.UserError, match="no image to compare"):
        run(recipe, {"audio": inputs["audio"], "image": []}, tmp_path / "demo")


def test_an_input_of_nan_is_named(recipe, inputs, tmp_path):
    broken = [("bad.wav", np.full([800], np.nan, np.float32))]
    with pytest.raises(registry.UserError, match="bad.wav is empty or holds NaN"):
        run(recipe, {**inputs, "audio": broken}, tmp_path / "demo")


def test_drift_is_written_anew_and_a_header_alone_says_that_none_drifts(
    recipe, inputs, tmp_path, quick
):
    directory = tmp_path / "demo"
    directory.mkdir()
    (directory / "drift.csv").write_text("of the last export")
    run(recipe, inputs, directory)
    assert (directory / "drift.csv").read_text() == "artefact,signature,id,cosine\n"


def test_what_is_known_of_the_run_lies_in_the_certificate(recipe, inputs, tmp_path, quick):
    found = run(recipe, inputs, tmp_path / "demo", about={"license": "CC0", "origin": {}})
    written = json.loads((tmp_path / "demo" / "parity.json").read_text())
    assert written.pop("sha256")  # its seal
    assert (written["license"], written["origin"]) == ("CC0", {})
    assert written == found


def test_older_versions_go_once_the_new_one_stands(recipe, inputs, tmp_path, quick):
    run(recipe, inputs, tmp_path / "demo")
    for copy in "23":
        shutil.copytree(tmp_path / "demo" / "1", tmp_path / "demo" / copy)
    run(recipe, inputs, tmp_path / "demo", keep_versions=2)
    assert artefacts.versions(str(tmp_path / "demo")) == [3, 4]
    with pytest.raises(registry.UserError, match="parity failed"):
        run(recipe, inputs, tmp_path / "demo", keep_versions=1, min_cosine=1.1)
    assert artefacts.versions(str(tmp_path / "demo")) == [3, 4]
