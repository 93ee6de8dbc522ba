"""What of the Android sample needs no phone, compiled and run; `make kotlin` unpacks a compiler."""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from tests.samples import made_up

ROOT = pathlib.Path(__file__).parent.parent.parent
ANDROID = ROOT / "samples" / "android"
SOURCES = ANDROID / "app/src/main/kotlin/tfav/sample"
UNPACKED = ROOT / "runs" / "kotlin" / "package" / "bin" / "kotlinc"


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Runs the program of `check/`; returns how it ended."""
    compiler = str(UNPACKED) if UNPACKED.exists() else shutil.which("kotlinc")
    if compiler is None or shutil.which("java") is None:
        pytest.skip("no Kotlin compiler in runs/kotlin (make kotlin) or on PATH, or no java")
    jar = tmp_path_factory.mktemp("kotlin") / "check.jar"
    files = [SOURCES / f"{name}.kt" for name in ("Fit", "Wav", "Decision")]
    command = [
        compiler,
        "-Werror",
        "-include-runtime",
        "-d",
        jar,
        *files,
        ANDROID / "check/Check.kt",
    ]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)

    def run(*words):
        command = ["java", "-cp", str(jar), "tfav.sample.CheckKt", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True)

    return run


def test_it_fits_images_as_training_does(check, export):
    for place, vector in enumerate(export.vectors["image"]["fit"]):
        height, width, _ = vector["shape"]
        done = check("fit", vector["size"], height, width, export.folder / f"fit{place}.rgb")
        found, expected = np.array(done.stdout.split(), np.int64), made_up.fitted(vector)
        assert np.abs(found - expected).max() <= 1 and (found == expected).mean() > 0.99


def test_it_reads_the_clip(check, export):
    found = np.array(check("wav", export.folder / "clip.wav").stdout.split(), np.float32)
    expected = np.array(export.vectors["audio"]["waveform_pcm16"], np.float32) / 32768
    np.testing.assert_array_equal(found, expected)


def test_a_file_that_is_no_clip_is_a_sentence(check, export):
    done = check("wav", export.folder / "picture.ppm")
    assert done.returncode != 0 and "this is no WAV file" in done.stderr


def test_it_decides_as_the_export_says(check):
    done = check("decide", 0.5, 4.0, -2.0, 0.25, 0.5, 0.75)
    # 1 / (1 + exp(-(4 s - 2))) of 0.25, 0.5 and 0.75: of -1, 0 and 1.
    words = [line.split() for line in done.stdout.splitlines()]
    assert [matched for matched, _ in words] == ["false", "true", "true"]
    likely = [float(probability) for _, probability in words]
    assert likely == pytest.approx([0.268941421, 0.5, 0.731058579])
