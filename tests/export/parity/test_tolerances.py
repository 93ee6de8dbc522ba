"""How near a port's answers must be: measured on each file, with room for other kernels."""

import json
import os

import numpy as np
import pytest

from tfav.export import servable
from tfav.export.lite import tflite
from tfav.export.parity import golden, tolerances


@pytest.fixture(scope="module")
def files(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lite")
    made = tflite.write(servable.Servable(recipe), str(folder), audio_samples=24_000)
    return folder, made


def test_each_file_has_the_cosine_of_its_answer_and_the_least_of_a_port(recipe, files):
    folder, made = files
    found = tolerances.measure(golden.vectors(recipe), str(folder), made)
    assert set(found) == {f"{m}_{p}.tflite" for m in ("audio", "image") for p in made.values()}
    for name, signatures in found.items():
        ((signature, its),) = signatures.items()
        assert signature == f"embed_{name.split('_')[0]}"
        assert 0.9999 < its["cosine"] <= 1.0
        assert its["least_cosine"] == pytest.approx(its["cosine"] - 1e-4)


def test_a_file_of_other_weights_has_another_cosine_and_8_bits_more_room(recipe, files):
    folder, _ = files
    vectors = golden.vectors(recipe)
    turned = np.array(vectors["image"]["embedding"])[::-1]
    vectors["image"] = {**vectors["image"], "embedding": turned.tolist()}
    name = "image_float32.tflite"
    its = tolerances.measure(vectors, str(folder), {name: "int8"})[name]["embed_image"]
    assert its["cosine"] == pytest.approx(float(turned @ turned[::-1]), abs=1e-5)
    assert its["least_cosine"] == pytest.approx(its["cosine"] - 1e-3)


def test_a_file_of_less_than_the_vectors_second_has_none(published):
    with open(os.path.join(published.directory, "golden.json"), encoding="utf-8") as file:
        tolerance = json.load(file)["tolerance"]
    # Its clips are half a second long.
    assert sorted(tolerance) == ["image_float16.tflite", "image_float32.tflite"]
