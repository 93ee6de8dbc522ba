"""The C++ sample, against the LiteRT library of the Python wheel, here and on emulated ARM."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.arm import compare, test_arm
from tests.samples import made_up

SOURCES = pathlib.Path(__file__).parent.parent.parent / "samples" / "cpp"


def x86_64():
    """Returns the compiler, the library's folder and what starts a program of this machine."""
    return "g++", importlib.util.find_spec("ai_edge_litert").submodule_search_locations[0], []


def aarch64():
    """Likewise of an emulated ARM processor; see `tests.arm`."""
    if not (os.environ.get("TFAV_ARM") == "1" or test_arm.FOLDER.exists()):
        pytest.skip("no emulator in runs/arm: run make arm, or set TFAV_ARM=1 to unpack one")
    reason = compare.set_up(str(test_arm.FOLDER))
    if reason:
        pytest.skip(reason)
    emulator = [str(test_arm.FOLDER / "qemu-aarch64"), "-L", str(test_arm.FOLDER / "arm64")]
    return "aarch64-linux-gnu-g++", str(test_arm.FOLDER / "wheels" / "ai_edge_litert"), emulator


@pytest.fixture(scope="module", params=[x86_64, aarch64], ids=lambda machine: machine.__name__)
def embed(request, tmp_path_factory):
    """Runs the program, compiled for a machine; returns how it ended."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        pytest.skip("no ai_edge_litert on this dependency line")
    compiler, litert, start = request.param()
    if shutil.which(compiler) is None or shutil.which("make") is None:
        pytest.skip(f"no {compiler}, or no make")
    folder = tmp_path_factory.mktemp("cpp") / "cpp"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("embed"))
    words = [f"CXX={compiler}", f"LITERT={litert}", "CXXFLAGS=-O1 -Wall -Wextra -Werror"]
    subprocess.run(["make", "-C", str(folder), *words], check=True, capture_output=True)

    def run(*words):
        command = [*start, str(folder / "embed"), *map(str, words)]
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


def test_the_commands_of_the_readme_work_from_the_top_of_a_clone(export, tmp_path):
    if importlib.util.find_spec("ai_edge_litert") is None or shutil.which("g++") is None:
        pytest.skip("no ai_edge_litert on this dependency line, or no g++")
    text = (SOURCES.parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^## C\+\+$.*?^```bash\n(.*?)^```$", text, re.S | re.M)
    (tmp_path / "exports" / "mine").mkdir(parents=True)
    kept = shutil.ignore_patterns("embed")
    shutil.copytree(SOURCES, tmp_path / "samples" / "cpp", ignore=kept)
    shutil.copy(export.folder / "audio_float16.tflite", tmp_path / "exports" / "mine")
    shutil.copy(export.folder / "clip.wav", tmp_path / "voice.wav")
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-ec", block],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if re.fullmatch(r"-?[0-9.e-]+", line)]
    assert len(lines) == len(export.vectors["audio"]["embedding"])
