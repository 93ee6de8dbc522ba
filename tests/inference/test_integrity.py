"""An artefact is what was exported, or a sentence: damage, mixtures, killed exports, paths."""

import json
import os
import pathlib
import re
import shutil

import numpy as np
import pytest

from tests.export import conftest
from tfav import files, registry
from tfav.export import publish
from tfav.export.options import Inputs
from tfav.inference import artefacts, embedders

VARIABLES = "variables/variables.data-00000-of-00001"


@pytest.fixture
def export(published, tmp_path):
    """A copy of an export, to be spoilt."""
    directory = tmp_path / "demo"
    shutil.copytree(published.directory, directory)
    return directory


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(bytes(content))


def sentence(path):
    with pytest.raises(registry.UserError) as caught:
        embedders.load(str(path))
    assert "\n" not in str(caught.value) and "export again" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside parity.json"])
@pytest.mark.parametrize("place", [0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_flipped_bit_anywhere_in_a_tflite_is_found(export, place, alone):
    path = export / "audio_float32.tflite"
    if alone:
        (export / "parity.json").unlink()
    flip(path, place)
    said = sentence(path)
    assert ("not a whole .tflite of ours" in said) if alone else ("was damaged or replaced" in said)


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside parity.json"])
@pytest.mark.parametrize("name", ["saved_model.pb", VARIABLES, artefacts.FACTS_FILE])
def test_a_flipped_bit_in_a_saved_model_is_found(export, name, alone):
    if alone:
        (export / "parity.json").unlink()
    flip(export / "1" / name, 0.4)
    said = sentence(export)
    sealed = alone or name == artefacts.FACTS_FILE
    assert ("not a whole SavedModel of ours" if sealed else "damaged or replaced") in said


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside parity.json"])
@pytest.mark.parametrize("keep", [0, 1_000, 0.5, -1])
def test_truncated_variables_are_a_sentence(export, keep, alone):
    if alone:
        (export / "parity.json").unlink()
    path = export / "1" / VARIABLES
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if 0 < keep < 1 else keep])
    assert "variables.data" in sentence(export)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", VARIABLES])
def test_a_file_that_is_missing_is_named(export, name):
    (export / "1" / name).unlink()
    (export / "parity.json").unlink()
    # Without saved_model.pb the folder of versions holds none that is whole.
    assert f"{name} is missing" in sentence(export)


def test_truncated_variables_of_an_older_export_are_a_sentence(export):
    older(export)
    path = export / "1" / VARIABLES
    path.write_bytes(path.read_bytes()[:1_000])
    assert "not a whole SavedModel of ours" in sentence(export)


def older(export):
    """Makes the facts of a SavedModel those of format 2, which had no seal and no hearing."""
    path = export / "1" / artefacts.FACTS_FILE
    facts = json.loads(path.read_text())
    kept = ("modalities", "embedding_size", "embedding_space", "sample_rate_hz", "classes")
    sizes = {"image_size": {"image": conftest.SIZE}, "num_frames": {"image": 1}}
    facts = {"format": 2, **{name: facts[name] for name in kept}, **sizes, "localizes": False}
    path.write_text(json.dumps(facts))
    (export / "parity.json").unlink()


def test_an_export_of_the_older_format_loads_and_hears_ten_seconds(export, published):
    older(export)
    old, new = embedders.load(str(export)), embedders.load(published.directory)
    assert old.items == new.items and old.hearing == new.hearing
    assert old.embedding_space == new.embedding_space
    clip = np.random.default_rng(0).uniform(-0.3, 0.3, [1, 165_000]).astype(np.float32)
    found = old.embed("audio", {"audio": clip})
    np.testing.assert_allclose(found, new.embed("audio", {"audio": clip[:, :160_000]}), atol=1e-5)


def test_a_tflite_of_another_export_is_not_what_parity_json_was_written_for(export, verified):
    other = pathlib.Path(verified.directory) / "audio_float32.tflite"
    shutil.copy(other, export / "audio_float32.tflite")
    assert "is not what" in sentence(export / "audio_float32.tflite")
    shutil.copy(other, export / "mine.tflite")  # which it does not name
    assert embedders.load(str(export / "mine.tflite")).modalities == ("audio",)


def test_an_older_version_beside_the_newest_passes(export):
    shutil.copytree(export / "1", export / "0")
    assert embedders.load(str(export / "0")).modalities == ("audio", "image")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "is empty"),
        ("{", "is not readable JSON"),
        ("[]", r"is damaged .it is \[\] instead of an object"),
        ('{"artefacts": 3}', "is damaged .artefacts is 3 instead of an object"),
        ('{"artefacts": []}', r"is damaged .artefacts is \[\] instead of an object"),
        ('{"artefacts": {}}', "is damaged .artefacts is empty"),
        ('{"artefacts": {"1": {}}}', "is damaged .artefacts.1 has no field 'files'"),
        ('{"artefacts": {"1": {"files": {"a": {}}}}}', ".artefacts.1.files.a has no field"),
    ],
)
def test_a_parity_json_that_is_none_is_named(export, text, wrong):
    (export / "parity.json").write_text(text)
    for path in (export, export / "image_float16.tflite"):
        said = sentence(path)
        assert re.search(f"parity.json.*{wrong}", said) and "move it away" in said


def test_a_parity_json_is_sealed_and_one_of_an_older_version_is_not(export):
    path = export / "parity.json"
    content = json.loads(path.read_text())
    content["artefacts"].pop("audio_float32.tflite")  # so that nobody would look at its hash
    path.write_text(json.dumps(content))
    assert "parity.json is not what was written, its sha256" in sentence(export)
    del content["sha256"]
    path.write_text(json.dumps(content))
    assert embedders.load(str(export)).modalities == ("audio", "image")


# A kill while files are moved --------------------------------------------------------------------


def killed(stage, directory, names, stale, after):
    """Moves in a process that dies before its rename number `after`."""
    child = os.fork()
    if not child:
        count = 0
        rename = os.replace

        def replace(*paths):
            nonlocal count
            if not str(paths[1]).endswith(artefacts.JOURNAL_FILE):
                if count == after:
                    os._exit(7)
                count += 1
            rename(*paths)

        os.replace = replace
        publish._move(str(stage), str(directory), names, stale)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_an_export_killed_between_two_renames_is_seen_and_mended_by_the_next(
    recipe, inputs, published, verified, tmp_path
):
    """The second export has another file of sounds and no images in float16."""
    new = pathlib.Path(verified.directory)
    names = ["2", "audio_float32.tflite", "image_float32.tflite", "golden.json", "parity.json"]
    stale = ["audio_float16.tflite", "image_float16.tflite"]
    seen = set()
    for after in range(len(names) + len(stale) + 1):
        directory, stage = tmp_path / f"{after}" / "demo", tmp_path / f"{after}" / "stage"
        shutil.copytree(published.directory, directory)
        stage.mkdir()
        shutil.copytree(new / "1", stage / "2")
        for name in names[1:]:
            shutil.copy(new / name, stage / name)
        parity = json.loads((stage / "parity.json").read_text())
        parity["artefacts"]["2"] = parity["artefacts"].pop("1")
        each = parity["artefacts"]["2"]["files"]
        parity["artefacts"]["2"]["files"] = {f"2{n[1:]}": x for n, x in each.items()}
        del parity["sha256"]  # as its artefacts are renamed
        (stage / "parity.json").write_text(json.dumps(parity))
        done = killed(stage, directory, names, stale, after)
        assert done == (0 if after == len(names) + len(stale) else 7)
        assert (directory / artefacts.JOURNAL_FILE).exists() == (done == 7)
        for name in ("1", "2", "audio_float32.tflite", "image_float32.tflite"):
            path = directory / name
            if not path.exists():
                continue
            try:
                assert embedders.load(str(path)).embedding_space
                seen.add("whole")
            except registry.UserError as error:
                assert "an export was interrupted there, export again" in str(error)
                seen.add("mixed")
        # What the next export would take away: all that it does not write and either wrote.
        gone = set(publish._stale(str(directory), ["3", "audio_float32.tflite"]))
        left = {n for n in os.listdir(directory) if n.endswith(".tflite")}
        assert gone == left - {"audio_float32.tflite"}
    assert seen == {"whole", "mixed"}


# Paths -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def again(recipe, inputs, published, tmp_path_factory):
    """An export whose path TensorFlow would take for a pattern, over one that was killed."""
    directory = tmp_path_factory.mktemp("again") / "a [1] *b?" / "vf [x]"
    shutil.copytree(published.directory, directory)
    (directory / "audio_int8.tflite").write_bytes(b"of a killed export")
    journal = {"audio_int8.tflite": files.sha256(directory / "audio_int8.tflite")}
    (directory / artefacts.JOURNAL_FILE).write_text(json.dumps(journal))
    conftest.export(recipe, Inputs(inputs), directory, precisions=("float32",))
    return directory


def test_the_next_export_removes_the_journal_and_what_only_a_killed_one_wrote(again):
    left = sorted(n for n in os.listdir(again) if n.endswith((".tflite", "publishing.json")))
    assert left == ["audio_float32.tflite", "image_float32.tflite"]
    for name in ("", *left):
        assert embedders.load(str(again / name)).embedding_space


def test_paths_that_are_patterns_to_tensorflow_work(again, inputs):
    assert os.listdir(again.parent) == ["vf [x]"]
    served = embedders.load(str(again))
    phone = embedders.load(str(again / "audio_float32.tflite"))
    batch = {"audio": inputs["audio"][0][1][np.newaxis]}
    np.testing.assert_allclose(phone.embed("audio", batch), served.embed("audio", batch), atol=1e-5)


def test_a_plain_path_stays_and_another_is_a_link_for_the_block(tmp_path):
    with files.plain_path(tmp_path / "a b") as path:
        assert path == str(tmp_path / "a b")
    (tmp_path / "[1]").mkdir()
    with files.plain_path(tmp_path / "[1]") as path:
        assert "[" not in path and os.path.samefile(path, tmp_path / "[1]")
        pathlib.Path(path, "x").write_text("there")
    assert not os.path.exists(path) and (tmp_path / "[1]" / "x").read_text() == "there"


# Once --------------------------------------------------------------------------------------------


def test_an_export_traces_each_signature_once(published):
    # On a server audio, image, a file of each, score and match; on a phone audio and image.
    assert len(published.traced) == 6 + 2
