"""A recipe of pairs is served by what it learns: does this audio belong to this image?"""

import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import tfav
from tests.export import conftest, test_localize
from tests.export.test_localize import FRONTEND, OPTIONS, SIZE, THRESHOLD, moments, small, tensor
from tfav import recipes, registry
from tfav.encoders import audio, image
from tfav.export import servable as servable_lib
from tfav.export.lite import tflite
from tfav.export.options import Inputs
from tfav.export.parity import agreement, gates
from tfav.export.parity import certificate as parity
from tfav.export.serving import served_pairs
from tfav.inference import artefacts, embedders, saved_model_embedder


def infonce():
    encoders = {
        "audio": audio.Tiny(8, frontend=FRONTEND),
        "image": image.Tiny(8, image_size=SIZE),
    }
    return recipes.RECIPES["infonce"](conftest.settle(encoders), temperature=0.2, max_scale=9.0)


def made(name):
    if name == "infonce":
        return infonce()
    return test_localize.scenes() if name == "dmc" else small(name, hidden_size=6)


def scores(recipe, batch):
    """Each row's own score, one row at a time."""
    rows = range(len(batch["image"]))
    own = [{m: x[i : i + 1] for m, x in batch.items()} for i in rows]
    sides = [[recipe.represent(m, row) for m in ("audio", "image")] for row in own]
    return np.array([recipe.pair_scores(*pair).numpy()[0, 0] for pair in sides])


@pytest.fixture(scope="module")
def rows():
    return test_localize.rows_of_scenes()


@pytest.fixture(scope="module", params=["dmc", "infonce"])
def exported(request, rows, tmp_path_factory):
    """A recipe of pairs, and its export; read only."""
    recipe = made(request.param)
    if request.param == "dmc":
        return request.param, recipe, test_localize.published_scenes(tmp_path_factory)
    directory = str(tmp_path_factory.mktemp("exports") / "pairs")
    certificate = conftest.export(recipe, Inputs({}, rows=rows), directory, precisions=("float32",))
    return request.param, recipe, conftest.Published(directory, certificate, [])


def test_names_types_and_shapes_on_a_server(exported):
    name, _, published = exported
    found = published.certificate["artefacts"]["1"]["signatures"]
    outputs = {"score": tensor("float32", None)}
    if name == "dmc":  # nobody told InfoNCE a threshold
        outputs["matched"] = tensor("bool", None)
    assert found["score_pairs"]["outputs"] == found["score_pairs_files"]["outputs"] == outputs
    assert set(found["score_pairs"]["inputs"]) == {"waveform", "num_samples", "image"}
    assert found["score_pairs_files"]["inputs"] == {
        "jpeg": tensor("string", None),
        "wav": tensor("string", None),
    }
    default = "localize" if name == "dmc" else "embed_audio"
    assert found["serving_default"] == found[default]
    assert ("score" in found) == (name == "infonce")  # embeddings that share a space


def test_every_form_answers_what_the_recipe_does(exported):
    name, recipe, published = exported
    batch = moments(3, seed=4)
    expected = scores(recipe, batch)
    assert np.ptp(expected) > 1e-3  # rows differ
    threshold = {"dmc": THRESHOLD, "infonce": None}[name]
    for file in ("", "score_pairs_float32.tflite"):
        model = tfav.load(os.path.join(published.directory, file))
        found = model.score_pairs(audio=list(batch["audio"]), image=list(batch["image"]))
        np.testing.assert_allclose(found.scores, expected, rtol=1e-4, atol=1e-4)
        assert model.threshold == threshold
        if threshold is None:
            assert found.matched is None
        else:
            assert found.matched.tolist() == (found.scores >= threshold).tolist()


def test_pairs_sent_as_whole_files_are_scored_as_what_they_hold(exported):
    _, recipe, published = exported
    batch = moments(2, seed=4)
    pcm = np.round(batch["audio"] * 32_768) / 32_768
    sent = {
        "wav": [tf.audio.encode_wav(x[:, np.newaxis], 16_000).numpy() for x in pcm],
        "jpeg": [tf.io.encode_jpeg(x, quality=95).numpy() for x in batch["image"]],
    }
    images = np.stack([tf.io.decode_jpeg(x).numpy() for x in sent["jpeg"]])
    embedder = embedders.load(published.directory)
    found = embedder.run("score_pairs_files", **{n: tf.constant(x) for n, x in sent.items()})
    expected = scores(recipe, {"audio": pcm.astype(np.float32), "image": images})
    np.testing.assert_allclose(found["score"], expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(registry.UserError, match="score_pairs_files: jpeg and wav hold different"):
        embedder.run(
            "score_pairs_files", jpeg=tf.constant(sent["jpeg"]), wav=tf.constant(sent["wav"][:1])
        )


def test_the_facts_tell_the_threshold_and_the_temperature(exported):
    name, _, published = exported
    path = pathlib.Path(published.directory) / "1" / artefacts.FACTS_FILE
    facts = json.loads(path.read_text())
    assert facts["scores_pairs"] is True
    assert facts["threshold"] == {"dmc": THRESHOLD, "infonce": None}[name]
    assert published.certificate["threshold"] == facts["threshold"]
    for file in ("", "audio_float32.tflite"):
        model = tfav.load(os.path.join(published.directory, file))
        assert model.temperature == (pytest.approx(0.2) if name == "infonce" else None)


def test_parity_of_the_scores_is_measured_in_every_form(exported):
    name, _, published = exported
    found = {
        (artefact, signature): compared
        for artefact, its in published.certificate["artefacts"].items()
        for signature, compared in its["parity"].items()
        if signature.startswith("score_pairs")
    }
    precisions = {"dmc": ("float16", "float32"), "infonce": ("float32",)}[name]
    phones = [(f"score_pairs_{precision}.tflite", "score_pairs") for precision in precisions]
    assert sorted(found) == [("1", "score_pairs"), ("1", "score_pairs_files"), *phones]
    for compared in found.values():
        assert compared["num_items"] == 3
        assert compared["max_abs_error"] < compared["max_error_allowed"]


def test_l3_decides_where_it_was_taught_to_and_its_default_stays_what_it_was():
    recipe, batch = made("l3"), moments(3, seed=4)
    servable = servable_lib.Servable(recipe)
    assert (servable.threshold, servable.default) == (0.0, "embed_audio")
    inputs = {"waveform": batch["audio"], "num_samples": [8_000] * 3, "image": batch["image"]}
    found = servable.signatures()["score_pairs"](**inputs)
    np.testing.assert_allclose(found["score"], scores(recipe, batch), rtol=1e-4, atol=1e-4)
    assert found["matched"].numpy().tolist() == (found["score"].numpy() >= 0).tolist()


def test_what_builtin_ops_cannot_express_is_left_out_and_named(tmp_path, caplog):
    recipe = small(mode="euclidean", num_clusters={"audio": 1, "image": 2})
    servable = servable_lib.Servable(recipe)
    found = tflite.write(servable, str(tmp_path), audio_samples=8_000, precisions=("float32",))
    assert sorted(found) == ["audio_float32.tflite", "image_float32.tflite"]
    for stem in ("localize", "score_pairs"):
        assert f"no {stem}.tflite: {stem} does not convert to TFLite with builtin" in caplog.text
    assert "score_pairs" in servable.joint  # the SavedModel has it


# Parity ------------------------------------------------------------------------------------------


def test_scores_agree_by_their_largest_error():
    found = agreement.compare_scores(
        ["a", "b", "c"], np.array([0.2, 4.0, 1.0]), np.array([0.2, 4.1, 1.3]), 1.2, "float16"
    )
    assert (found["max_error_item"], found["num_items"]) == ("c", 3)
    assert found["max_abs_error"] == pytest.approx(0.3)
    assert found["max_error_allowed"] == pytest.approx(0.01 * 4.0)
    assert found["matched_ties"] == ["c"]  # 1.0 is below 1.2, 1.3 is not
    small_ones = agreement.compare_scores(["a"], np.array([0.1]), np.array([0.1]), None, "float32")
    assert small_ones["max_error_allowed"] == pytest.approx(1e-3)
    assert "matched_ties" not in small_ones


@pytest.mark.parametrize("error, passes", [(0.9e-3, True), (1.1e-3, False), (np.nan, False)])
def test_a_score_that_is_off_publishes_nothing(error, passes):
    found = agreement.compare_scores(
        ["a", "b"], np.array([1.0, 0.5]), np.array([1.0, 0.5 + error]), 0.7, "float32"
    )
    certificate = {"artefacts": {"1": {"precision": "float32", "parity": {"score_pairs": found}}}}
    if passes:
        gates.check(certificate, OPTIONS)
        return
    with pytest.raises(registry.UserError, match="nothing was published: score_pairs of 1 .* b, a"):
        gates.check(certificate, OPTIONS)


def test_a_model_that_answers_another_score_is_refused(exported, rows, monkeypatch):
    _, recipe, published = exported
    run = saved_model_embedder.SavedModelEmbedder.run

    def shifted(self, signature, **inputs):
        found = run(self, signature, **inputs)
        if signature == served_pairs.PAIR_FILES:
            found["score"] = found["score"] + 0.02 * max(1, np.abs(found["score"]).max())
        return found

    monkeypatch.setattr(saved_model_embedder.SavedModelEmbedder, "run", shifted)
    inputs = {m: [(name, row[m]) for name, row in rows] for m in ("audio", "image")}
    found = parity.certificate(recipe, inputs, published.directory, {"1": "float32"}, rows)
    with pytest.raises(registry.UserError, match="score_pairs_files of 1 is .* away"):
        gates.check(found, OPTIONS)
