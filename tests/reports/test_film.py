"""A film shows the ranked faces while their probe is heard."""

import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests import showcases
from tfav import registry
from tfav.reports import film


@pytest.fixture(scope="module")
def shown():
    tasks, items, _ = showcases.small()
    return tasks[0].in_groups(), items["audio"], items["image"]


def test_a_still_marks_matches_and_mismatches_by_colour_and_sign(shown):
    probes, voices, faces = shown
    still = np.asarray(film.draw(probes[0], voices[probes[0].id], faces, "a run"))
    assert still.shape == (720, 1280, 3)
    assert [hit.match for hit in probes[0].hits] == [True, False, False, False]
    # The left frame of the first face and of the second, and inside each the face's own colour.
    assert tuple(still[300, 69]) == (0x11, 0x73, 0x4B)
    assert tuple(still[300, 69 + 239]) == (0xB3, 0x35, 0x2C)
    for column, hit in enumerate(probes[0].hits[:2]):
        colour = np.asarray(Image.open(film.io.BytesIO(faces[hit.id].content)))[9, 9]
        np.testing.assert_allclose(still[326, 162 + 239 * column], colour, atol=4)


def test_a_film_has_a_still_a_probe_and_its_sound(shown, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    probes, voices, faces = shown
    probes = probes[:2]
    path = tmp_path / "film.mp4"
    seconds = film.write(path, probes, voices, faces, title="a run")
    assert seconds == pytest.approx(2 * 2.7)  # half a second of voice: at least two, and a pause
    about = subprocess.run([ffmpeg, "-i", path], capture_output=True, text=True).stderr
    assert "Video: h264" in about and "Audio: aac" in about and "1280x720" in about
    assert "Duration: 00:00:05.4" in about

    def decode(*options):
        command = [ffmpeg, "-loglevel", "error", "-i", path, *options, "-"]
        return subprocess.run(command, capture_output=True, check=True).stdout

    frames = np.frombuffer(decode("-f", "rawvideo", "-pix_fmt", "rgb24"), np.uint8)
    frames = frames.reshape(-1, 720, 1280, 3)
    assert len(frames) == 54  # ten a second
    for number, probe in ((10, probes[0]), (40, probes[1])):
        still = np.asarray(film.draw(probe, voices[probe.id], faces, ""), np.float64)[160:]
        assert np.abs(frames[number, 160:] - still).mean() < 3
    sound = np.frombuffer(decode("-f", "s16le"), "<i2").astype(float)
    first, pause, second = (
        np.abs(sound[int(16_000 * a) : int(16_000 * b)]).mean()
        for a, b in ((0.1, 0.4), (1.0, 2.5), (2.8, 3.1))
    )
    assert first > 4000 and second > 4000 and pause < 50


def test_without_ffmpeg_a_sentence_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(registry.UserError, match=r"pip install 'tfav\[video\]'"):
        film.find_ffmpeg()


def _pretend(tmp_path, monkeypatch, script: str) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    os.chmod(program, stat.S_IRWXU)
    monkeypatch.setattr(film, "find_ffmpeg", lambda: str(program))


def test_an_ffmpeg_that_fails_is_a_sentence_and_a_full_disk_an_oserror(
    shown, tmp_path, monkeypatch
):
    _pretend(tmp_path, monkeypatch, "echo 'Unknown encoder' >&2; exit 1")
    with pytest.raises(registry.UserError, match=r"cannot write .*film.mp4 \(Unknown encoder\)"):
        film.write(tmp_path / "film.mp4", shown[0][:1], *shown[1:], title="")
    _pretend(tmp_path, monkeypatch, "echo 'av_interleaved: No space left on device' >&2; exit 1")
    with pytest.raises(OSError, match="No space left"):
        film.write(tmp_path / "film.mp4", shown[0][:1], *shown[1:], title="")


def test_an_ffmpeg_without_h264_and_aac_uses_what_it_has(tmp_path, monkeypatch):
    _pretend(tmp_path, monkeypatch, "echo ' V..... mpeg4 '; echo ' A..... aac '")
    assert film._codecs(film.find_ffmpeg())[:2] == ["-c:v", "mpeg4"]
    _pretend(tmp_path, monkeypatch, "echo ' V..... libx264 x'")
    assert film._codecs(film.find_ffmpeg())[1] == "libx264"
    assert "libmp3lame" in film._codecs(film.find_ffmpeg())
