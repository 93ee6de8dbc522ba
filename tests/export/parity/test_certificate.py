import hashlib
import os

import numpy as np
import pytest

from tests.export import conftest
from tfav import registry
from tfav.export.options import ExportOptions
from tfav.export.parity import agreement, gates
from tfav.export.parity import certificate as parity
from tfav.recipes import outputs


def certificate(cosine, precision="float16"):
    found = {"cosine_min": cosine, "cosine_mean": 0.99, "worst_item": "a/b.wav"}
    artefact = {"precision": precision, "parity": {"embed_audio": found}}
    return {"artefacts": {f"audio_{precision}.tflite": artefact}}


def check(found, min_cosine, **changes):
    gates.check(found, ExportOptions(audio_seconds=1, min_cosine=min_cosine, **changes))


def test_agreement_is_that_of_the_worst_item():
    reference = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    artefact = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    found = agreement.compare(["a", "b", "c"], reference, artefact)
    # b: 0.6 * 0.8 + 0.8 * 0.6 = 0.96, off by 0.2 in each coordinate; mean (1 + 0.96 + 1) / 3
    assert found["worst_item"] == "b"
    assert found["num_items"] == 3
    assert found["cosine_min"] == pytest.approx(0.96)
    assert found["cosine_mean"] == pytest.approx(2.96 / 3)
    assert found["max_abs_error"] == pytest.approx(0.2)


def test_an_embedding_of_nan_is_the_worst_item_and_fails():
    reference = np.array([[1, 0], [0, 1]], np.float32)
    found = agreement.compare(["a", "b"], reference, np.array([[0, 1], [np.nan, 0]], np.float32))
    assert found["worst_item"] == "b"
    with pytest.raises(registry.UserError, match="cosine nan"):
        check(certificate(found["cosine_min"]), 0.9)


def test_parity_below_the_gate_names_artefact_item_value_and_switch():
    check(certificate(0.97), 0.97)
    sentence = "embed_audio of audio_float16.tflite has cosine 0.969000 .*a/b.wav.*--min_cosine"
    with pytest.raises(registry.UserError, match=sentence):
        check(certificate(0.969), 0.97)


def test_images_that_end_grey_say_nothing_to_the_console(published, recipe, inputs, capfd):
    """The graph decodes those twice, and libjpeg would tell of the bytes that it has no use for."""
    grey = np.full([conftest.SIZE, conftest.SIZE, 3], 127, np.uint8)
    items = {**inputs, "image": [("grey.jpg", grey)]}
    found = parity.certificate(recipe, items, published.directory, {"1": "float32"})
    assert found["artefacts"]["1"]["parity"]["embed_jpeg"]["cosine_min"] > 0.9999
    assert "JPEG" not in capfd.readouterr().err


# Logits -----------------------------------------------------------------------------------------


def logits_of(artefact, precision="float32"):
    reference = np.array([[0, 1, 2], [0, 10, 9.995], [0, 0, 0]], np.float32)
    return agreement.compare_logits(["a", "b", "c"], reference, np.float32(artefact), precision)


def test_equal_logits_agree_zeros_too():
    found = logits_of([[0, 1, 2], [0, 10, 9.995], [0, 0, 0]])
    assert (found["cosine_min"], found["max_abs_error"], found["argmax_agreement"]) == (1, 0, 1)


def test_another_class_is_a_tie_only_where_the_checkpoint_hardly_decides():
    # b: 10 and 9.995 of a spread of 10 are 0.0005 apart, below 0.001.
    found = logits_of([[0, 1, 2], [0, 9.996, 9.998], [0, 0, 0]])
    assert (found["argmax_ties"], found["argmax_flips"]) == (["b"], [])
    assert found["argmax_agreement"] == pytest.approx(2 / 3)
    # a: 2 and 1 of a spread of 2 are half of it apart.
    found = logits_of([[0, 2, 1], [0, 10, 9.995], [0, 0, 0]], "float16")
    assert (found["argmax_ties"], found["argmax_flips"]) == ([], ["a"])


def test_rounding_to_float16_ties_more_than_float32():
    reference, artefact = np.array([[0, 1, 0.995]]), np.array([[0, 0.995, 1]])
    for precision, ties in (("float32", []), ("float16", ["x"])):  # 0.005 of a spread of 1
        found = agreement.compare_logits(["x"], reference, artefact, precision)
        assert found["argmax_ties"] == ties
        assert found["argmax_flips"] == ([] if ties else ["x"])


def test_another_class_publishes_nothing():
    found = {"cosine_min": 1.0, "cosine_mean": 1.0, "worst_item": "a", "argmax_flips": ["b", "c"]}
    artefact = {"precision": "float16", "parity": {"classify": found}}
    artefacts = {"classifier_float16.tflite": artefact}
    sentence = "nothing was published: classify of classifier_float16.tflite takes b for another"
    with pytest.raises(registry.UserError, match=sentence):
        check({"artefacts": artefacts}, 0.9)


# What is written --------------------------------------------------------------------------------


def test_the_space_is_known_by_the_encoders_weights(published, recipe):
    found = published.certificate["embedding_space"]
    assert len(found) == 16 and found == outputs.embedding_space(recipe)
    calls = recipe.encoders["audio"].tail.dropout.calls
    kernel = next(v for n, v in recipe.encoder_weights().items() if n.endswith("kernel"))
    before = kernel.numpy()
    calls.assign_add(1)
    assert outputs.embedding_space(recipe) == found  # a counter changes no embedding
    calls.assign_sub(1)
    kernel.assign(before + 1e-6)
    assert outputs.embedding_space(recipe) != found
    kernel.assign(before)


def test_the_certificate_covers_every_artefact_and_signature(published):
    measured = {
        (name, signature): found["num_items"]
        for name, artefact in published.certificate["artefacts"].items()
        for signature, found in artefact["parity"].items()
    }
    tflites = {
        (f"{m}_{p}.tflite", f"embed_{m}")
        for m in ("audio", "image")
        for p in ("float32", "float16")
    }
    served = {("1", f"embed_{s}") for s in ("audio", "image", "jpeg", "wav")}
    assert measured == dict.fromkeys(tflites | served, 3)


def test_float32_artefacts_agree_to_rounding_and_float16_to_its_own(published):
    for artefact in published.certificate["artefacts"].values():
        bound = 1e-5 if artefact["precision"] == "float32" else 5e-3
        for found in artefact["parity"].values():
            assert found["max_abs_error"] < bound
            assert found["cosine_min"] > 1 - bound**2 * 16


def test_files_are_known_by_their_bytes_and_hash(published):
    for artefact in published.certificate["artefacts"].values():
        total = 0
        for name, facts in artefact["files"].items():
            with open(os.path.join(published.directory, name), "rb") as f:
                content = f.read()
            assert facts["sha256"] == hashlib.sha256(content).hexdigest()
            total += len(content)
        assert artefact["bytes"] == total > 0


# 8 bits and drift -------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["int8", "int8_static"])
def test_8_bit_files_have_a_gate_of_their_own(precision):
    check(certificate(0.985, precision), 0.999)
    sentence = f"embed_audio of audio_{precision}.tflite has cosine 0.979.* --min_cosine_int8 to"
    with pytest.raises(registry.UserError, match=sentence):
        check(certificate(0.979, precision), 0.9)
    check(certificate(0.979, precision), 0.999, min_cosine_int8=0.97)


def test_more_is_a_tie_the_fewer_the_bits():
    reference, artefact = np.array([[0, 1, 0.97]]), np.array([[0, 0.97, 1]])  # 0.03 of a spread
    ties = {"float16": [], "int8": ["x"], "int8_static": ["x"]}
    for precision, names in ties.items():
        found = agreement.compare_logits(["x"], reference, artefact, precision)
        assert found["argmax_ties"] == names
    far = np.array([[0, 0.93, 1]])
    reference = np.array([[0, 1, 0.93]])  # 0.07
    assert agreement.compare_logits(["x"], reference, far, "int8")["argmax_flips"] == ["x"]
    assert agreement.compare_logits(["x"], reference, far, "int8_static")["argmax_ties"] == ["x"]


def test_drifting_items_are_listed_worst_first():
    angles = np.array([0.0, 0.1, 0.02, 0.5])
    reference = np.tile(np.float32([1, 0]), [4, 1])
    artefact = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = agreement.compare(list("abcd"), reference, artefact)
    # cos 0.5 = 0.87758, cos 0.1 = 0.99500, cos 0.02 = 0.9998
    assert list(found["drifting"]) == ["d", "b"]
    assert found["drifting"]["d"] == pytest.approx(0.87758, abs=1e-5)
    whole = {
        "artefacts": {
            "x.tflite": {"parity": {"embed_audio": found}},
            "a.tflite": {"parity": {"embed_image": {"drifting": {"f.jpg": 0.9}}}},
        }
    }
    assert parity.drift_csv(whole).splitlines() == [
        "artefact,signature,id,cosine",
        "x.tflite,embed_audio,d,0.877583",
        "a.tflite,embed_image,f.jpg,0.900000",
        "x.tflite,embed_audio,b,0.995004",
    ]


def test_an_item_of_nan_drifts_first():
    found = agreement.compare(["a", "b"], np.eye(2), np.array([[0.6, 0.8], [np.nan, 0]]))
    assert list(found["drifting"]) == ["b", "a"]
