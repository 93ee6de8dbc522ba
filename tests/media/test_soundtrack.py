"""The sound of videos: which stretch is taken, at which rate, and where it starts."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from tests import clips
from tfav.media import audio_files, soundtrack


def _ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Three seconds: 30 numbered frames, and a chirp on the left."""
    return clips.write(tmp_path_factory.mktemp("video") / "short.mov", sound=clips.chirp(3))


def test_the_sound_is_what_was_put_in(short):
    np.testing.assert_array_equal(soundtrack.read_audio(short, "left") * 32768, clips.chirp(3))
    mean = soundtrack.read_audio(short)  # zeros on the right
    np.testing.assert_array_equal(mean * 65536, clips.chirp(3))


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (1.25, 0.5, (20_000, 28_000)),
        (0.0001, 0.1, (2, 1602)),  # 1.6 samples
        (2.5, 0.0, (40_000, 48_000)),
        (2.5, 5.0, (40_000, 48_000)),  # shorter than asked
    ],
)
def test_a_part_of_the_sound_is_that_stretch(short, start, length, expected):
    found = soundtrack.read_audio(short, "left", start_seconds=start, length_seconds=length)
    np.testing.assert_array_equal(found * 32768, clips.chirp(3)[slice(*expected)])


def test_other_rates_become_16_khz_and_parts_have_the_asked_length(tmp_path):
    time = np.arange(3 * 44_100) / 44_100
    soundfile.write(tmp_path / "x.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 44_100)
    whole = soundtrack.read_audio(tmp_path / "x.wav")  # sound alone is a video without picture
    np.testing.assert_allclose(whole, audio_files.read_audio(tmp_path / "x.wav"), atol=1e-6)
    part = soundtrack.read_audio(tmp_path / "x.wav", start_seconds=0.7, length_seconds=1.1)
    assert len(part) == 17_600
    np.testing.assert_allclose(part[800:-800], whole[11_200:28_800][800:-800], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "codec", "most"),
    [
        ("x.mp4", "aac", 0),
        ("x.mp4", "libmp3lame", 0),
        ("x.mkv", "libopus", 112),  # 0 with PyAV 18; earlier ones are 7 ms off
    ],
)
def test_lossy_sound_keeps_its_place(short, tmp_path, name, codec, most):
    rate = ("-ar", 48_000) if codec == "libopus" else ()
    _ffmpeg("-i", short, "-c:v", "copy", "-c:a", codec, *rate, tmp_path / name)
    part = {"start_seconds": 1, "length_seconds": 1}
    found = soundtrack.read_audio(tmp_path / name, "left", **part) * 32768
    lags = range(-1600, 1601, 4)  # the delays of the first two are 1024 and 1105 samples
    sound = clips.chirp(3).astype(np.float32)
    match = [np.dot(found[1600:-1600], sound[17_600 + x : 30_400 + x]) for x in lags]
    assert abs(lags[int(np.argmax(match))]) <= most


def test_a_gap_in_the_time_stamps_is_silence(tmp_path):
    path = clips.write(tmp_path / "x.mov", sound=clips.chirp(1))
    late = ("-itsoffset", 2, "-i", path, "-map", "0:v", "-map", "1:a", "-c", "copy")
    _ffmpeg("-i", path, *late, tmp_path / "late.mkv")
    found = soundtrack.read_audio(tmp_path / "late.mkv", "left")
    assert not found[:32_000].any()
    np.testing.assert_array_equal(found[32_000:] * 32768, clips.chirp(1))
