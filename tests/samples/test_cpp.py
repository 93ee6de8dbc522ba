"""The C++ sample, compiled against the LiteRT library of the Python wheel."""

import importlib.util
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from tests.samples import made_up

SOURCES = pathlib.Path(__file__).parent.parent.parent / "samples" / "cpp"


@pytest.fixture(scope="module")
def embed(tmp_path_factory):
    """Runs the compiled program; returns how it ended."""
    if shutil.which("g++") is None or shutil.which("make") is None:
        pytest.skip("no g++, or no make")
    spec = importlib.util.find_spec("ai_edge_litert")
    if spec is None:
        pytest.skip("no ai_edge_litert on this dependency line")
    folder = tmp_path_factory.mktemp("cpp") / "cpp"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("embed"))
    litert = f"LITERT={spec.submodule_search_locations[0]}"
    flags = "CXXFLAGS=-O1 -Wall -Wextra -Werror"
    subprocess.run(["make", "-C", str(folder), litert, flags], check=True, capture_output=True)

    def run(*words):
        command = [str(folder / "embed"), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("modality, file", [("audio", "clip.wav"), ("image", "picture.ppm")])
def test_it_answers_the_golden_vectors(embed, export, modality, file, precision):
    name = f"{modality}_{precision}.tflite"
    done = embed(export.folder / name, export.folder / file)
    assert done.returncode == 0, done.stderr
    found = np.array(done.stdout.split(), np.float64)
    expected = np.array(export.vectors[modality]["embedding"])
    tolerance = export.vectors["tolerance"][name][f"embed_{modality}"]
    assert found @ expected > tolerance["least_cosine"]
    if precision == "float32":
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_it_fits_images_as_training_does(embed, export):
    for place, vector in enumerate(export.vectors["image"]["fit"]):
        done = embed(f"--fit={vector['size']}", export.folder / f"fit{place}.ppm")
        found = np.array(done.stdout.split(), np.int64)
        expected = made_up.fitted(vector)
        assert np.abs(found - expected).max() <= 1 and (found == expected).mean() > 0.99


def test_what_it_cannot_use_is_a_sentence(embed, export, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFFxxxxWAVE")
    model = export.folder / "audio_float32.tflite"
    for words, told in [
        ((model, tmp_path / "a.wav"), "a.wav holds no samples"),
        ((model, tmp_path / "no.wav"), "no.wav cannot be opened"),
        ((model, export.folder / "picture.ppm"), "no input called image"),
        ((tmp_path / "no.tflite", export.folder / "clip.wav"), "no.tflite failed with LiteRT's"),
        ((), "usage: embed"),
    ]:
        done = embed(*words)
        assert done.returncode == 2 and told in done.stderr, done.stderr
