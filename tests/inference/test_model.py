"""The Python API: one way to use a run, an export and a `.tflite`; light to import."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

import tfav
from tests import small
from tests.export import conftest
from tests.export.test_localize import moments
from tests.export.test_localize import small as localising
from tfav.commands import export, train
from tfav.inference import recipe_embedder

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, its export, two voices and three faces."""
    folder = tmp_path_factory.mktemp("api")
    c = small.config(small.write_dataset(str(folder / "data")))
    c.train.num_steps = 5
    run = str(folder / "runs" / "demo" / "run")
    train.train(c, run, "one_device")
    export.export(run, str(folder / "model"), precisions=("float32",))
    random = np.random.default_rng(0)
    for name, samples in (("ann.wav", 9_000), ("bob.wav", 20_000)):
        wave = 0.3 * random.uniform(-1, 1, samples)
        soundfile.write(folder / name, wave, RATE, subtype="PCM_16")
    (folder / "faces").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        pixels = random.integers(0, 256, [40, 32, 3], np.uint8)
        Image.fromarray(pixels).save(folder / "faces" / name)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    return tfav.load(folder / "runs" / "demo" / "run")


def test_the_lines_of_the_docstring_run(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    code = "\n".join(line[4:] for line in tfav.__doc__.splitlines() if line.startswith("    "))
    assert len(code.splitlines()) <= 10
    exec(code, {})
    printed = capsys.readouterr().out
    assert re.match(r"\('audio', 'image'\) [0-9a-f]{16}\n", printed)
    assert re.search(r"\['[abc]\.png', '[abc]\.png'\]\n$", printed)


def test_all_forms_embed_files_and_arrays_alike(folder, run):
    voices = [folder / "ann.wav", folder / "bob.wav"]
    right = run.embed(voices)
    assert right.ids == {"audio": list(map(str, voices))}
    assert right.vectors["audio"].shape == (2, 8) and right.vectors["audio"].dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(right.vectors["audio"], axis=1), 1, atol=1e-6)
    # One second of the two is heard: 20 000 - 16 000 samples are not.
    assert right.unheard_seconds == {str(voices[1]): 0.25}
    clips = [soundfile.read(path, dtype="float32")[0] for path in voices]
    for path in ("model", "model/1", "model/audio_float32.tflite"):
        model = tfav.load(folder / path)
        assert model.embedding_space == run.embedding_space == right.embedding_space
        assert model.hearing == run.hearing
        found = model.embed(voices)
        assert found.ids == right.ids
        np.testing.assert_allclose(found.vectors["audio"], right.vectors["audio"], atol=1e-5)
        arrays = model.embed(clips)
        assert arrays.ids == {"audio": ["0", "1"]} and arrays.unheard_seconds == {"1": 0.25}
        np.testing.assert_allclose(arrays.vectors["audio"], right.vectors["audio"], atol=1e-5)


def test_images_of_any_size_as_arrays(folder, run):
    pixels = np.random.default_rng(3).integers(0, 256, [50, 70, 3], np.uint8)
    right = run.embed(pixels)
    assert right.ids == {"image": ["0"]}
    for path in ("model", "model/image_float32.tflite"):
        found = tfav.load(folder / path).embed([pixels, pixels[:32, :32]]).vectors["image"]
        np.testing.assert_allclose(found[0], right.vectors["image"][0], atol=1e-5)
        assert found.shape == (2, 8)


def test_a_folder_gives_every_modality_in_it(folder, run):
    found = run.embed(folder / "faces", modality="image")
    assert found.ids == {"image": ["a.png", "b.png", "c.png"]}
    both = run.embed([folder / "faces", folder / "ann.wav"])
    assert list(both.ids) == ["audio", "image"]
    with pytest.raises(tfav.UserError, match="of audio and image: give those of one modality"):
        run.similarity(both, found)
    scores = run.similarity(both.vectors["audio"], found)
    assert scores.shape == (1, 3)


def test_match_says_which_candidate_is_nearest(run):
    candidates = np.eye(8, dtype=np.float32)[:3]
    found = run.match(np.eye(8, dtype=np.float32)[1], candidates)
    assert found.scores.tolist() == [[0, 1, 0]] and found.best.tolist() == [1]
    probe = 0.6 * candidates[0] + 0.8 * candidates[2]
    found = run.match(np.stack([probe, candidates[1]]), candidates)
    np.testing.assert_allclose(found.scores, [[0.6, 0, 0.8], [0, 1, 0]], atol=1e-6)
    assert found.best.tolist() == [2, 1]


def test_embeddings_of_another_space_or_size_are_refused(run):
    other = tfav.Embeddings({"audio": ["x"]}, {"audio": np.ones([1, 8])}, "0" * 16, {})
    with pytest.raises(
        tfav.UserError,
        match="of the embedding space 0000000000000000 and this model of .*: embed both",
    ):
        run.similarity(other, np.ones([1, 8]))
    with pytest.raises(tfav.UserError, match="of 7 and of 8 values share no space"):
        run.match(np.ones(7), np.ones([2, 8]))
    with pytest.raises(tfav.UserError, match="no candidates"):
        run.match(np.ones(8), np.ones([0, 8]))


@pytest.mark.parametrize(
    "inputs, sentence",
    [
        ([], "there is nothing to embed"),
        (tfav.Embeddings({}, {}, "", {}), "^Embeddings is neither a path nor an array: give paths"),
        ([tfav.Embeddings({}, {}, "", {})], "^Embeddings is neither"),
        ({"audio": "a.wav"}, "^dict is neither"),
        (b"a.wav", "^bytes is neither"),
        (3, "^int is neither"),
        (None, "^NoneType is neither"),
        ([0.5, 0.25], "^float is neither"),
        ("absent.wav", "absent.wav does not exist"),
        (np.zeros(8_000, np.int16), "int16 .8000. is not one item of audio or image"),
        (np.zeros([2, 8_000], np.float32), "float32 .2, 8000. is not one item"),
        (np.zeros(8_000, np.float32), "item 0 is silent"),
        ([np.ones(8_000, np.float32), np.ones(800, np.float32)], "item 1 lasts 0.050 s"),
        (np.full(8_000, np.nan, np.float32), "item 0 has 8000 samples that are NaN"),
        (np.full(8_000, 1e18, np.float32), "item 0 has float samples up to 1e.18"),
        ([np.ones(8_000, np.float32), np.ones([4, 4, 3], np.uint8)], "item 1 is uint8 .4, 4, 3."),
    ],
)
def test_what_cannot_be_embedded_is_a_sentence(run, inputs, sentence):
    with pytest.raises(tfav.UserError, match=sentence):
        run.embed(inputs)


def test_a_modality_that_is_not_there_is_named(folder):
    model = tfav.load(folder / "model" / "audio_float32.tflite")
    with pytest.raises(tfav.UserError, match="embeds audio and not image"):
        model.embed(np.zeros([32, 32, 3], np.uint8), modality="image")
    with pytest.raises(tfav.UserError, match="embeds audio and the inputs hold none"):
        model.embed(folder / "faces")


# Classes and maps --------------------------------------------------------------------------------


def models_of(classified, classifying):
    embedder = recipe_embedder.RecipeEmbedder(
        classifying, classes=conftest.CLASSES, num_frames={"flow": conftest.FRAMES}
    )
    yield tfav.Model(embedder)
    yield tfav.load(classified.directory)
    yield tfav.load(os.path.join(classified.directory, "classifier_float32.tflite"))


def test_rows_are_classified_by_every_form(classified, classifying, rows, tmp_path):
    inputs = {
        m: [row[m][:8_000] if m == "audio" else row[m] for _, row in rows] for m in rows[0][1]
    }
    clip, image = tmp_path / "x.wav", tmp_path / "x.png"
    soundfile.write(clip, inputs["audio"][0], RATE, subtype="PCM_16")
    Image.fromarray(inputs["image"][0]).save(image)
    batch = {m: np.stack(x) for m, x in inputs.items() if m != "audio"}
    expected = []
    for place, wave in enumerate(inputs["audio"]):
        row = {m: x[place : place + 1] for m, x in batch.items()} | {"audio": wave[np.newaxis]}
        expected.append(classifying.logits(classifying.features(row))["fused"][0])
    for model in models_of(classified, classifying):
        found = model.classify(**inputs)
        assert found.classes == conftest.CLASSES
        np.testing.assert_allclose(found.logits["logits"], expected, atol=1e-4)
        np.testing.assert_allclose(found.probability, tf.nn.softmax(expected), atol=1e-5)
        assert found.names == [conftest.CLASSES[np.argmax(x)] for x in expected]
        one = model.classify(audio=clip, image=str(image), flow=inputs["flow"][0])
        assert one.probability.shape == (1, 3)
        with pytest.raises(tfav.UserError, match="audio was given: give audio and flow and image"):
            model.classify(audio=clip)
        with pytest.raises(tfav.UserError, match="3 of audio, 1 of image, 3 of flow were given"):
            model.classify(audio=inputs["audio"], image=image, flow=inputs["flow"])


def test_a_classifiers_modalities_are_not_compared_by_any_form(classified, classifying, rows):
    each = [row for _, row in rows]
    by_run, by_export, by_row = models_of(classified, classifying)
    assert not by_row.shares_space
    for model in (by_run, by_export):
        voices = model.embed([row["audio"][:8_000] for row in each], modality="audio")
        faces = model.embed([row["image"] for row in each], modality="image")
        with pytest.raises(tfav.UserError, match="of audio and of image share no space"):
            model.match(voices, faces)
        with pytest.raises(tfav.UserError, match="of image and of audio share no space"):
            model.similarity(faces, voices)
        assert model.match(voices, voices).best.tolist() == [0, 1, 2]


def test_a_run_that_localises_gives_maps_and_others_say_so(run, folder):
    recipe = localising()
    model = tfav.Model(recipe_embedder.RecipeEmbedder(recipe))
    batch = moments(2)
    found = model.localize(audio=list(batch["audio"]), image=list(batch["image"]))
    np.testing.assert_allclose(found, recipe.localize(batch), atol=1e-5)
    pairs = model.score_pairs(audio=list(batch["audio"]), image=list(batch["image"]))
    sides = [recipe.represent(m, batch) for m in ("audio", "image")]
    np.testing.assert_allclose(pairs.scores, np.diag(recipe.pair_scores(*sides)), rtol=1e-5)
    assert pairs.matched is None and model.threshold is None  # an export measures one
    for model in (run, tfav.load(folder / "model")):
        with pytest.raises(tfav.UserError, match="does not say where a sound comes from"):
            model.localize(audio=batch["audio"][0], image=batch["image"][0])
        with pytest.raises(tfav.UserError, match="tells no classes apart"):
            model.classify(audio=batch["audio"][0], image=batch["image"][0])


# Imports ----------------------------------------------------------------------------------------


def python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_tfav_imports_nothing_else():
    heavy = "{'numpy', 'tensorflow', 'keras', 'absl', 'PIL'}"
    assert python(f"import sys, tfav; print(tfav.__version__, {heavy} & set(sys.modules))") == (
        f"{tfav.__version__} set()"
    )
    assert set(tfav.__all__) <= set(dir(tfav))
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        tfav.lode  # noqa: B018


def test_the_version_is_that_of_the_package():
    with open(os.path.join(os.path.dirname(tfav.__file__), "..", "setup.cfg")) as f:
        assert "version = attr: tfav.__version__\n" in f.read()


def test_a_tflite_of_sounds_needs_no_tensorflow(folder):
    pytest.importorskip("ai_edge_litert")
    code = """
import sys, tfav
found = tfav.load(sys.argv[1]).embed(sys.argv[2])
print(found.vectors["audio"].shape, {"tensorflow", "keras"} & set(sys.modules))
"""
    path = folder / "model" / "audio_float32.tflite"
    assert python(code, path, folder / "ann.wav") == "(1, 8) set()"
    embed = f"""
import runpy, sys
sys.path.insert(0, "bin")
sys.argv[1:] = ["--model={path}", "--inputs={folder / "ann.wav"}", "--output={folder / "x.npz"}"]
try:
    runpy.run_path("bin/embed.py", run_name="__main__")
except SystemExit as end:
    assert not end.code
print({{"tensorflow", "keras"}} & set(sys.modules))
"""
    assert python(embed).splitlines()[-1] == "set()"
