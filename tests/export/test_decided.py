"""Thresholds and calibration lie wherever an export says what it is, and are answered by it.

`verified` is exported with them and `published` without, as older exports and runs that nobody
evaluated so: every door is walked with both.
"""

import json
import math
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import tfav
from tests.export import conftest
from tests.export.test_score_pairs import made, moments
from tfav import states
from tfav.evaluation import decisions
from tfav.export import servable as servable_lib
from tfav.inference import artefacts, embedders, tflite_metadata
from tfav.recipes import outputs

FILES = ("parity.json", "golden.json", "1/assets.extra/tfav.json", "image_float32.tflite")
UNIT = np.eye(16, dtype=np.float32)
# Cosines 1, 0.6 and 0 with the first unit vector.
CANDIDATES = np.stack([UNIT[0], 0.6 * UNIT[0] + 0.8 * UNIT[1], UNIT[2]])
LIKELY = [1 / (1 + math.exp(-(8 * s - 2))) for s in (1.0, 0.6, 0.0)]


def said(published, file):
    path = pathlib.Path(published.directory) / file
    if file.endswith(".tflite"):
        return tflite_metadata.read_facts(path.read_bytes())
    return json.loads(path.read_text())


@pytest.mark.parametrize("file", FILES)
def test_a_place_holds_what_was_measured_and_on_what(recipe, verified, file):
    space = outputs.embedding_space(recipe)
    found = dict(said(verified, file)["decisions"])
    found.pop("examples", None)
    assert found == conftest.decided(space)


@pytest.mark.parametrize("file", FILES)
def test_a_place_holds_nothing_where_nobody_measured(published, file):
    assert "decisions" not in said(published, file)


def test_a_port_has_scores_to_check_its_own_arithmetic_on(verified):
    examples = said(verified, "golden.json")["decisions"]["examples"]
    assert examples["score"] == [-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0]
    assert examples["probability"][5] == 0.5  # 8 * 0.25 - 2 = 0
    assert examples["probability"][8] == pytest.approx(1 / (1 + math.exp(-6)))
    assert examples["matched"] == [False] * 6 + [True] * 3


DOORS = ("", "1", "audio_float32.tflite", "image_float32.tflite")


@pytest.mark.parametrize("door", DOORS)
def test_a_match_is_answered_with_its_probability_and_whether_it_is_sure(verified, door):
    model = tfav.load(os.path.join(verified.directory, door))
    found = model.match(UNIT[0], CANDIDATES)
    assert found.scores[0] == pytest.approx([1.0, 0.6, 0.0]) and found.why == ""
    assert found.probability[0] == pytest.approx(LIKELY, rel=1e-5)
    assert found.matched[0].tolist() == [True, True, False]
    assert model.decisions.content["measured_on"]["fitted"] == {"split": "val"}


@pytest.mark.parametrize("door", ("", "1", "audio_float32.tflite", "image_float16.tflite"))
def test_without_a_calibration_a_match_is_the_cosine_and_says_why(published, door):
    model = tfav.load(os.path.join(published.directory, door))
    found = model.match(UNIT[0], CANDIDATES)
    assert found.scores[0] == pytest.approx([1.0, 0.6, 0.0]) and found.best.tolist() == [0]
    assert (found.probability, found.matched, model.decisions) == (None, None, None)
    assert found.why.startswith("this model holds no calibration: evaluate its run with tfav-eval")


def test_two_of_one_modality_have_no_probability(verified, inputs):
    model = tfav.load(verified.directory)
    clips = model.embed([clip for _, clip in inputs["audio"]])
    faces = model.embed([image for _, image in inputs["image"]])
    found = model.match(clips, clips)
    assert (found.probability, found.matched) == (None, None)
    assert found.why == "the calibration is of audio with image, and both are audio"
    both = model.match(clips, faces)
    assert both.probability.shape == both.matched.shape == (3, 3) and both.why == ""


def test_a_server_answers_the_same_beside_what_it_answered_before(verified, published):
    asked = {"probe": tf.constant(UNIT[:1]), "candidates": tf.constant(CANDIDATES[np.newaxis])}
    found = embedders.load(verified.directory).run("match", **asked)
    assert set(found) == {"scores", "best", "embedding_space", "probability", "matched"}
    assert found["probability"][0] == pytest.approx(LIKELY, rel=1e-5)
    assert found["matched"].tolist() == [[True, True, False]]
    before = embedders.load(published.directory).run("match", **asked)
    assert set(before) == {"scores", "best", "embedding_space"}
    for name, value in before.items():
        np.testing.assert_array_equal(found[name], value)


def test_scores_of_pairs_have_a_probability_on_a_server():
    recipe, batch = made("dmc"), moments(3, seed=4)
    space = outputs.embedding_space(recipe)
    its = decisions.read(conftest.decided(space, "score"), space)
    servable = servable_lib.Servable(recipe, threshold=0.5, decided=its)
    inputs = {"waveform": batch["audio"], "num_samples": [8_000] * 3, "image": batch["image"]}
    found = servable.signatures()["score_pairs"](**inputs)
    score = found["score"].numpy().astype(np.float64)
    np.testing.assert_allclose(found["probability"], 1 / (1 + np.exp(2 - 8 * score)), rtol=1e-5)
    assert set(found) == {"score", "matched", "probability"}
    # A phone's file answers scores alone: what stands in its facts is enough to go on.
    assert set(servable.fixed_signatures(8_000)["score_pairs"].structured_outputs) == {
        "score",
        "matched",
    }


def test_the_calibration_of_a_score_is_not_taken_for_that_of_cosines():
    space = "0123456789abcdef"
    its = decisions.read(conftest.decided(space, "score"), space)
    found, why = decisions.of_cosines(its, ["audio", "image"])
    assert found is None and why == "the calibration of this model is of its score, not of cosines"


def test_facts_with_the_thresholds_of_another_space_are_refused(verified):
    facts = said(verified, "1/assets.extra/tfav.json")
    assert artefacts.parse_facts(facts).decisions.threshold == 0.5
    facts["decisions"]["measured_on"]["embedding_space"] = "f" * 16
    with pytest.raises(ValueError, match="its thresholds are of the embedding space ffff"):
        artefacts.parse_facts(facts)


def test_a_changed_threshold_breaks_the_seal(verified, tmp_path):
    found = said(verified, "parity.json")
    found["decisions"]["thresholds"]["eer"]["threshold"] = 0.1
    (tmp_path / "parity.json").write_text(json.dumps(found))
    with pytest.raises(tfav.registry.UserError, match="parity.json"):
        states.read(tmp_path / "parity.json", {"*": object}, "export again")
