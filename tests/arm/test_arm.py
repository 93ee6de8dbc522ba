"""The comparison of x86-64 with ARM: its verdicts always, itself where the emulator is."""

import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from tests.arm import compare
from tests.export import conftest
from tfav.encoders import mobile
from tfav.export import servable
from tfav.export.lite import tflite
from tfav.recipes import recipe as base

ROOT = pathlib.Path(__file__).parent.parent.parent
FOLDER = ROOT / "runs" / "arm"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The phone-sized encoders in both floats."""
    encoders = {"audio": mobile.SpeakerNet(8), "image": mobile.MobileFaceNet(8, 32)}
    recipe = base.Recipe(conftest.settle(encoders), heads={})
    folder = tmp_path_factory.mktemp("export")
    tflite.write(servable.Servable(recipe), str(folder), audio_samples=8_000)
    return sorted(folder.glob("*.tflite"))


def cosine(angle):
    return {"s/0/embedding": np.array([[np.cos(angle), np.sin(angle)]], np.float32)}


@pytest.mark.parametrize(
    "file, angle, good",
    [
        # 1 - cos(x) is about x^2 / 2: 0.00005 and 0.0002 of floats, 0.0005 and 0.002 of int8.
        ("audio_float32.tflite", 0.01, True),
        ("audio_float16.tflite", 0.02, False),
        ("image_int8.tflite", 0.032, True),
        ("image_int8_static.tflite", 0.064, False),
        ("audio_float32.tflite", np.nan, False),
    ],
)
def test_a_file_is_good_while_the_cosine_is(file, angle, good):
    line = compare.judge(file, "aarch64", cosine(angle), cosine(0.0))
    assert line.good == good
    if good:
        assert line.cosine == pytest.approx(np.cos(angle), abs=1e-6)
        assert line.max_abs_diff == pytest.approx(np.sin(angle), abs=1e-6)
    else:
        assert line.verdict.startswith("below 0.99")


@pytest.mark.parametrize("needs, good", [((), False), ((2, 3, 0), False), ((2, 17, 0), True)])
def test_the_oldest_runtime_may_refuse_only_what_says_so(needs, good):
    refused = "Didn't find op for builtin opcode 'FULLY_CONNECTED' version '12'"
    line = compare.judge("audio_int8.tflite", "oldest", refused, cosine(0.0), needs)
    assert line.good == good and ("2.17.0" if good else "version '12'") in line.verdict
    # Answering wrongly is never right.
    assert not compare.judge("audio_int8.tflite", "oldest", cosine(1.0), cosine(0.0), needs).good
    assert not compare.judge("audio_int8.tflite", "oldest", cosine(0.0), "crashed", needs).good


def test_an_export_without_a_tflite_is_a_sentence_and_an_error(tmp_path, capsys):
    assert compare.main(str(tmp_path), str(tmp_path / "arm")) == 2
    assert "holds no .tflite: run make demo" in capsys.readouterr().out
    assert not (tmp_path / "arm").exists()


def test_a_machine_without_apt_skips_with_a_sentence_and_leaves_nothing(tmp_path):
    command = [shutil.which("sh"), str(compare.HERE / "set_up.sh"), str(tmp_path / "arm"), "x", "1"]
    done = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 3 and done.stderr.count("\n") == 1
    assert "no apt-get" in done.stderr and not os.listdir(tmp_path)


def test_what_cannot_be_set_up_is_skipped_with_its_reason(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare, "set_up", lambda _: "there is no mirror.")
    assert compare.main(str(files[0].parent), str(tmp_path)) == 0
    assert capsys.readouterr().out == "skipped: there is no mirror.\n"


def test_a_file_that_answers_otherwise_ends_in_an_error(files, tmp_path, monkeypatch, capsys):
    bad = compare.judge("a_float32.tflite", "aarch64", cosine(1.0), cosine(0.0))
    monkeypatch.setattr(compare, "set_up", lambda _: "")
    monkeypatch.setattr(compare, "compare", lambda *_: [bad])
    assert compare.main(str(files[0].parent), str(tmp_path)) == 1
    assert "below 0.9999" in capsys.readouterr().out


def test_inputs_are_made_up_for_every_signature(files):
    pytest.importorskip("ai_edge_litert")
    found = compare.made_up(files[0])  # audio
    assert found["embed_audio/0/waveform"].shape == (1, 8_000)
    assert [found[f"embed_audio/{i}/num_samples"].tolist() for i in (0, 1)] == [[8_000], [6_000]]
    picture = compare.made_up(files[-1])["embed_image/1/image"]
    assert picture.shape == (1, 32, 32, 3) and picture.dtype == np.uint8 and np.ptp(picture) > 200


def test_the_oldest_runtime_of_a_file_is_read_from_it(files):
    pytest.importorskip("ai_edge_litert")
    needs = compare.min_runtime(files[0].read_bytes())
    assert (1, 5) <= needs < compare.OLDEST


def test_every_file_answers_on_arm_and_on_the_oldest_runtime(files):
    if not (os.environ.get("TFAV_ARM") == "1" or FOLDER.exists()):
        pytest.skip(f"no emulator in {FOLDER}: run make arm, or set TFAV_ARM=1 to unpack one")
    reason = compare.set_up(str(FOLDER))
    if reason:
        pytest.skip(reason)
    lines = list(compare.compare(files, FOLDER))
    runtimes = 2 if (FOLDER / "oldest").exists() else 1
    assert len(lines) == runtimes * len(files) == runtimes * 4
    for line in lines:
        assert line.good and line.max_abs_diff < 1e-5, line
