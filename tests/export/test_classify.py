"""A recipe with logits is served whole: sound, a picture and frames in, classes out."""

import json
import os
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.export import conftest
from tfav import registry
from tfav.encoders import audio, image
from tfav.export import servable as servable_lib
from tfav.export.lite import conversion
from tfav.export.options import Inputs
from tfav.export.parity import reference as reference_lib
from tfav.export.serving import saved_model
from tfav.inference import artefacts, embedders, tflite_metadata
from tfav.inference import interpreter as interpreters
from tfav.ops import similarity
from tfav.recipes import mmcosine, outputs
from tfav.recipes import recipe as base

C = len(conftest.CLASSES)
OUTPUTS = ("logits", "probability", "audio_logits", "flow_logits", "image_logits")


@pytest.fixture(scope="module")
def servable(classifying):
    return servable_lib.Servable(classifying, {"flow": conftest.FRAMES}, conftest.CLASSES)


@pytest.fixture(scope="module")
def signatures(servable):
    return servable.signatures()


def tensor(dtype, *shape):
    return {"dtype": dtype, "shape": list(shape)}


def joint(recipe, rows):
    reference = reference_lib.Reference(recipe, {}, rows)
    return reference.stack_rows([row for _, row in rows])


# Signatures -------------------------------------------------------------------------------------


def test_names_types_and_shapes_on_a_server(classified):
    found = classified.certificate["artefacts"]["1"]["signatures"]
    names = ["audio", "flow", "image", "jpeg", "wav"]
    assert sorted(found) == ["classify", *(f"embed_{n}" for n in names), "serving_default"]
    assert found["classify"] == found["serving_default"]
    assert found["classify"] == {
        "inputs": {
            "waveform": tensor("float32", None, None),
            "num_samples": tensor("int32", None),
            "image": tensor("uint8", None, None, None, 3),
            "flow": tensor("uint8", None, None, None, None, 3),
        },
        "outputs": {name: tensor("float32", None, C) for name in OUTPUTS},
    }
    assert found["embed_flow"] == {
        "inputs": {"flow": tensor("uint8", None, None, None, None, 3)},
        "outputs": {"embedding": tensor("float32", None, 8)},
    }


def test_names_types_and_shapes_on_a_phone(classified):
    size = conftest.SIZE
    for precision in ("float32", "float16"):
        artefact = classified.certificate["artefacts"][f"classifier_{precision}.tflite"]
        assert artefact["signatures"] == {
            "classify": {
                "inputs": {
                    "waveform": tensor("float32", 1, 8_000),
                    "num_samples": tensor("int32", 1),
                    "image": tensor("uint8", 1, size, size, 3),
                    "flow": tensor("uint8", 1, conftest.FRAMES, 16, 16, 3),
                },
                "outputs": {name: tensor("float32", 1, C) for name in OUTPUTS},
            }
        }


def test_every_variable_of_encoders_and_heads_is_tracked_once(servable, classifying):
    expected = {id(v) for v in classifying.named_weights().values()}
    assert {id(v) for v in servable.tracked} == expected
    assert len(servable.tracked) == len(servable.variables) == len(expected)


def test_a_head_that_is_not_tracked_is_found(classifying, tmp_path, servable):
    hollow = servable_lib.Servable(classifying, {"flow": conftest.FRAMES}, conftest.CLASSES)
    hollow.tracked = list(classifying.encoder_weights().values())
    path = str(tmp_path / "1")
    with pytest.raises((AssertionError, ValueError)):  # TensorFlow's own, or the loader's
        saved_model.save(hollow, path, hollow.signatures())
        saved_model.verify(hollow, path)


def test_a_server_answers_what_the_recipe_does(signatures, classifying, rows):
    batch = joint(classifying, rows)
    inputs = {"waveform" if n == "audio" else n: value for n, value in batch.items()}
    found = signatures["classify"](**inputs)
    logits = classifying.logits(classifying.features(batch))
    np.testing.assert_allclose(found["logits"], logits["fused"], atol=1e-5)
    np.testing.assert_allclose(found["probability"], tf.nn.softmax(logits["fused"]), atol=1e-6)
    for modality in ("audio", "image", "flow"):
        np.testing.assert_allclose(found[f"{modality}_logits"], logits[modality], atol=1e-5)
    assert np.ptp(logits["fused"], axis=0).max() > 1e-2  # rows differ


def test_any_number_of_frames_of_any_size_is_served(signatures, classifying):
    flow = np.random.default_rng(0).integers(0, 256, [2, 3, 16, 16, 3], np.uint8)
    expected = similarity.normalize(classifying.embed("flow", {"flow": flow}))
    embed = signatures["embed_flow"]
    np.testing.assert_allclose(embed(flow=flow)["embedding"], expected, atol=1e-6)
    large = np.repeat(np.repeat(flow, 2, axis=2), 2, axis=3)
    assert embed(flow=large)["embedding"].shape == expected.shape


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"waveform": np.zeros([2, 0])}, "waveform has no samples"),
        ({"num_samples": [1_600, 1_601]}, "num_samples is more than the waveform holds"),
        ({"waveform": np.full([2, 1_600], np.nan)}, "waveform holds NaN or infinite"),
        ({"waveform": np.zeros([2, 1_600])}, "row 0 of waveform is silent"),
        ({"image": np.zeros([2, 0, 5, 3])}, "image has no pixels, send at least 1 x 1"),
        ({"flow": np.zeros([2, 0, 5, 5, 3])}, "flow has no frames or no pixels, send one frame"),
        ({"flow": np.zeros([2, 1, 5, 0, 3])}, "flow has no frames or no pixels, send one frame"),
        ({"flow": np.zeros([3, 1, 16, 16, 3])}, "flow and image hold different numbers of rows"),
        ({"image": np.zeros([1, 16, 16, 3])}, "flow and image hold different numbers of rows"),
        (
            {"waveform": np.ones([3, 1_600]), "num_samples": [1_600] * 3},
            "flow and waveform hold different numbers of rows",
        ),
    ],
)
def test_bad_input_is_refused_with_a_sentence(signatures, changes, sentence):
    inputs = {
        "waveform": np.ones([2, 1_600]),
        "num_samples": [1_600, 1_600],
        "image": np.zeros([2, 16, 16, 3]),
        "flow": np.zeros([2, 1, 16, 16, 3]),
    } | changes
    types = {"waveform": np.float32, "num_samples": np.int32}
    inputs = {n: tf.constant(np.asarray(x), types.get(n, np.uint8)) for n, x in inputs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"classify: {sentence}"):
        signatures["classify"](**inputs)


def test_a_classifier_has_no_score_nor_have_spaces_of_different_sizes(recipe):
    encoders = {"audio": audio.Tiny(8), "image": recipe.encoders["image"]}
    assert "score" in servable_lib.Servable(recipe).examples()
    assert "score" not in servable_lib.Servable(base.Recipe(encoders, heads={})).examples()
    classifying = servable_lib.Servable(conftest.Classifying(recipe.encoders), None, "abc")
    assert "score" not in classifying.examples()


def test_a_picture_of_several_frames_has_no_jpeg_signature(recipe):
    servable = servable_lib.Servable(recipe, {"image": 2})
    assert "embed_jpeg" not in servable.signatures()
    assert "embed_jpeg" not in servable.examples()


# The paper's recipe -----------------------------------------------------------------------------


HARDER = {"sub_centers": 2, "margin_kind": "additive_angular", "margin": 0.5}


@pytest.mark.parametrize(
    "arguments",
    [
        {"blending": "equal"},
        {"head": "vanilla", "fusion": "gated"},
        {"fusion": "film"},
        HARDER,
        {"head": "common", "balance": "mla", "late_fusion": "certainty"},
        {"balance": "mmpareto", "late_fusion": {"audio": 0.25, "image": 2.0}},
    ],
    ids=lambda arguments: "-".join(map(str, arguments.values())),
)
def test_mmcosine_classifies_on_servers_and_phones(arguments, tmp_path):
    encoders = {"audio": audio.Tiny(16), "image": image.Tiny(16, 16)}
    recipe = mmcosine.MMCosine(conftest.settle(encoders), C, **arguments)
    servable = servable_lib.Servable(recipe, classes=conftest.CLASSES)
    signatures = servable.fixed_signatures(8_000)
    saved_model.save(servable, str(tmp_path / "fixed"), signatures)
    content = conversion.convert(str(tmp_path / "fixed"), ["classify"])
    conversion.check(content, ["classify"], conversion.kernel_bytes(signatures["classify"], 4))
    random = np.random.default_rng(0)
    batch = {
        "audio": random.uniform(-0.3, 0.3, [1, 8_000]).astype(np.float32),
        "num_samples": np.array([7_000], np.int32),
        "image": random.integers(0, 256, [1, 16, 16, 3], np.uint8),
    }
    inputs = {"waveform" if n == "audio" else n: value for n, value in batch.items()}
    expected = recipe.logits(recipe.features(batch))
    served = servable.signatures()["classify"](**inputs)
    on_phone = interpreters.make(content=content).get_signature_runner("classify")(**inputs)
    for found in (served, on_phone):
        np.testing.assert_allclose(found["logits"], expected["fused"], atol=1e-4)
        np.testing.assert_allclose(found["audio_logits"], expected["audio"], atol=1e-4)


# What is refused --------------------------------------------------------------------------------


def test_class_names_are_those_of_the_recipe(classifying):
    with pytest.raises(ValueError, match="2 names for 3 classes"):
        servable_lib.Servable(classifying, classes=("a", "b"))


def test_a_modality_with_a_name_of_ours_is_refused(recipe):
    recipe = base.Recipe({"jpeg": recipe.encoders["image"]}, heads={})
    with pytest.raises(registry.UserError, match="modality is called jpeg.*rename it"):
        servable_lib.Servable(recipe)


def publish_again(classifying, rows, directory, **changes):
    arguments = {"num_frames": {"flow": conftest.FRAMES}, "classes": conftest.CLASSES, **changes}
    return conftest.export(classifying, Inputs({}, rows=rows), directory, **arguments)


def test_without_rows_no_classes_are_compared_and_nothing_published(classifying, tmp_path):
    with pytest.raises(registry.UserError, match="no row with audio and flow and image to compare"):
        publish_again(classifying, [], tmp_path / "x")


@pytest.mark.parametrize("name", ["a\nb", "a\n", ""])
def test_a_class_whose_name_is_not_one_line_is_refused(classifying, rows, tmp_path, name):
    with pytest.raises(registry.UserError, match="the class .* is not one line"):
        publish_again(classifying, rows, tmp_path / "x", classes=("one", name, "three"))
    assert not os.listdir(tmp_path)


# What is published ------------------------------------------------------------------------------


def test_class_names_and_the_space_lie_with_every_artefact(classified, classifying):
    directory = pathlib.Path(classified.directory)
    assert (directory / "labels.txt").read_text() == "nought\none\ntwo\n"
    space = outputs.embedding_space(classifying)
    certificate = json.loads((directory / "parity.json").read_text())
    served = json.loads((directory / "1" / artefacts.FACTS_FILE).read_text())
    phone = tflite_metadata.read_facts((directory / "classifier_float16.tflite").read_bytes())
    for known in (certificate, served, phone):
        assert known["classes"] == list(conftest.CLASSES)
        assert known["embedding_space"] == space
    assert served["items"]["flow"]["shape"] == [conftest.FRAMES, 16, 16, 3]
    assert served["items"]["image"]["shape"] == [conftest.SIZE, conftest.SIZE, 3]
    assert served["embedding_size"]["flow"] == 8
    assert embedders.load(classified.directory).classes == conftest.CLASSES


def test_the_files_of_a_classifying_recipe(classified):
    assert sorted(os.listdir(classified.directory)) == [
        "1",
        "audio_float16.tflite",
        "audio_float32.tflite",
        "batching_parameters.txt",
        *(f"classifier_{p}.tflite" for p in ("float16", "float32")),
        "drift.csv",
        *(f"flow_{p}.tflite" for p in ("float16", "float32")),
        "golden.json",
        *(f"image_{p}.tflite" for p in ("float16", "float32")),
        "labels.txt",
        "models.config",
        "parity.json",
    ]


def test_the_classifier_holds_its_weights_and_builtin_ops_alone(classified, servable, classifying):
    path = os.path.join(classified.directory, "classifier_float32.tflite")
    content = pathlib.Path(path).read_bytes()
    needed = conversion.kernel_bytes(servable.fixed_signatures(8_000)["classify"], 4)
    unused = ("training_only/kernel",)
    used = [v for n, v in classifying.named_weights().items() if n not in unused]
    assert needed == sum(4 * v.shape.num_elements() for v in used if len(v.shape) > 1)
    conversion.check(content, ["classify"], needed)
    with pytest.raises(ValueError, match="weights are not tracked"):
        conversion.check(content, ["classify"], 2 * needed)


def test_every_artefact_is_compared_on_the_rows(classified):
    for name in ("1", "classifier_float32.tflite", "classifier_float16.tflite"):
        artefact = classified.certificate["artefacts"][name]
        bound = 1e-4 if artefact["precision"] == "float32" else 2e-2
        for output in ("", ":audio_logits", ":flow_logits", ":image_logits"):
            found = artefact["parity"][f"classify{output}"]
            assert found["num_items"] == 3
            assert found["max_abs_error"] < bound
            assert found["argmax_agreement"] == 1.0
            assert found["argmax_flips"] == found["argmax_ties"] == []
    assert {"embed_audio", "embed_flow", "embed_image", "embed_jpeg"} < set(
        classified.certificate["artefacts"]["1"]["parity"]
    )


def test_both_forms_answer_alike_and_one_picture_stands_for_all_frames(classified, classifying):
    random = np.random.default_rng(5)
    batch = {
        "audio": random.uniform(-0.3, 0.3, [2, 6_000]).astype(np.float32),
        "image": random.integers(0, 256, [2, 40, 30, 3], np.uint8),
        "flow": random.integers(0, 256, [2, 16, 16, 3], np.uint8),
    }
    served = embedders.load(classified.directory).classify(batch)
    path = os.path.join(classified.directory, "classifier_float32.tflite")
    on_phone = embedders.load(path).classify(batch)
    assert sorted(served) == sorted(on_phone) == sorted(OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(on_phone[name], served[name], atol=1e-4)
    alone = classifying.logits({"flow": classifying.embed("flow", {"flow": batch["flow"]})})
    np.testing.assert_allclose(served["flow_logits"], alone["flow"], atol=1e-4)


def test_the_snippet_for_phones_prints_a_class(classified, tmp_path, monkeypatch, capsys):
    pytest.importorskip("ai_edge_litert", reason="no LiteRT on this dependency line")
    text = (pathlib.Path(__file__).parents[2] / "exports" / "README.md").read_text()
    (code,) = (b for b in re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M) if "labels" in b)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "digits").symlink_to(classified.directory)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out.strip() in conftest.CLASSES


def test_a_classifier_embeds_nothing_and_refuses_a_clip_it_cannot_hold(classified):
    path = os.path.join(classified.directory, "classifier_float32.tflite")
    classifier = embedders.load(path)
    with pytest.raises(registry.UserError, match="embeds nothing and not audio"):
        classifier.embed("audio", {"audio": np.zeros([1, 400], np.float32)})
    batch = {
        "audio": np.ones([1, 8_001], np.float32),
        "image": np.zeros([1, 32, 32, 3], np.uint8),
        "flow": np.zeros([1, 2, 16, 16, 3], np.uint8),
    }
    with pytest.raises(
        registry.UserError,
        match="classify of .* is heard for 0.500062 s, and classifier_float32.tflite takes 0.5 s",
    ):
        classifier.classify(batch)
