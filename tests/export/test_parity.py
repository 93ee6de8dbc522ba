import hashlib
import os

import numpy as np
import pytest

from tfav import registry
from tfav.export import parity


def certificate(cosine):
    found = {"cosine_min": cosine, "cosine_mean": 0.99, "worst_item": "a/b.wav"}
    return {"artefacts": {"audio_float16.tflite": {"parity": {"embed_audio": found}}}}


def test_agreement_is_that_of_the_worst_item():
    reference = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    artefact = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    found = parity.compare(["a", "b", "c"], reference, artefact)
    # b: 0.6 * 0.8 + 0.8 * 0.6 = 0.96, off by 0.2 in each coordinate; mean (1 + 0.96 + 1) / 3
    assert found["worst_item"] == "b"
    assert found["num_items"] == 3
    assert found["cosine_min"] == pytest.approx(0.96)
    assert found["cosine_mean"] == pytest.approx(2.96 / 3)
    assert found["max_abs_error"] == pytest.approx(0.2)


def test_an_embedding_of_nan_is_the_worst_item_and_fails():
    reference = np.array([[1, 0], [0, 1]], np.float32)
    found = parity.compare(["a", "b"], reference, np.array([[0, 1], [np.nan, 0]], np.float32))
    assert found["worst_item"] == "b"
    with pytest.raises(registry.UserError, match="cosine nan"):
        parity.check(certificate(found["cosine_min"]), 0.9)


def test_parity_below_the_gate_names_artefact_item_value_and_switch():
    parity.check(certificate(0.97), 0.97)
    sentence = "embed_audio of audio_float16.tflite has cosine 0.969000 .*a/b.wav.*--min_cosine"
    with pytest.raises(registry.UserError, match=sentence):
        parity.check(certificate(0.969), 0.97)


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
    served = {("1", f"embed_{s}") for s in ("audio", "image", "jpeg")}
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
