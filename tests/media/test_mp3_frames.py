"""An MP3 is heard to its end, whatever its first frame says or cannot say."""

import io

import pytest
import soundfile

from tests.cases import waves
from tfav.media import audio_files, bad_file

SAMPLES = 32_000
_FRAME = 576


@pytest.fixture(scope="module")
def mp3():
    """Two seconds of a rate that varies, in 58 frames behind the one that says so."""
    file = io.BytesIO()
    soundfile.write(file, waves.voice(seconds=2.0), waves.RATE_HZ, format="MP3")
    assert file.getvalue()[13:17] == b"Xing"
    return file.getvalue()


def heard(path, content):
    path.write_bytes(content)
    return len(audio_files.read_audio(path))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 0),  # no frame begins where the file does
        (1, 0),
        (6, 1),  # not the silence in which alone a decoder looks for the tag
        (10, 127),
        (12, 255),
        (13, 0),  # no tag
        (20, 0),  # a tag that does not say how many frames there are
        (24, 5),  # too few
        (21, 255),  # far too many
    ],
)
def test_a_damaged_first_frame_costs_nothing_behind_it(mp3, tmp_path, place, value):
    content = bytearray(mp3)
    assert content[place] != value
    content[place] = value
    count = heard(tmp_path / "x.mp3", bytes(content))
    assert SAMPLES <= count <= SAMPLES + 3 * _FRAME  # the delay of the encoder is heard at most


@pytest.mark.parametrize("before", [b"\0" * 100, b"junk of some recorder", b"\xff" * 7])
def test_what_lies_before_the_first_frame_costs_nothing(mp3, tmp_path, before):
    count = heard(tmp_path / "x.mp3", before + mp3)
    assert SAMPLES <= count <= SAMPLES + 3 * _FRAME


def test_something_else_is_no_mp3(tmp_path):
    with pytest.raises(bad_file.BadFile, match="is not readable as audio"):
        heard(tmp_path / "x.mp3", b"not sound at all" * 99)
