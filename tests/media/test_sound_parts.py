"""All of the sound in a file is heard, or the file is refused: joined files, headers that lie."""

import io
import struct

import numpy as np
import pytest
import soundfile

from tests import clips
from tests.cases import waves
from tfav.media import audio_files, bad_file, ogg_links, riff, spliced

RATE, SECONDS = waves.RATE_HZ, 1.0
FORMATS = {  # suffix to what writes it
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "flac": {"format": "FLAC"},
    "mp3": {"format": "MP3"},
    "wav": {"format": "WAV"},
    "aiff": {"format": "AIFF"},
    "au": {"format": "AU"},
    "caf": {"format": "CAF"},
}
WHOLE = ("ogg", "opus", "flac", "mp3")


def encoded(kind, seed=0, seconds=SECONDS):
    file = io.BytesIO()
    soundfile.write(file, waves.voice(seed, seconds), RATE, **FORMATS[kind])
    return file.getvalue()


def heard(path, content, **part):
    path.write_bytes(content)
    return audio_files.read_audio(path, **part)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("count", [2, 3])
def test_joined_files_are_heard_whole_or_refused(kind, count, tmp_path):
    path = tmp_path / f"x.{kind}"
    parts = [encoded(kind, seed) for seed in range(count)]
    if kind not in WHOLE:
        with pytest.raises(bad_file.BadFile, match="holds another recording behind its end"):
            heard(path, b"".join(parts))
        with pytest.raises(bad_file.BadFile, match="holds another recording behind its end"):
            audio_files.duration(path)
        return
    single = [heard(path, part) for part in parts]
    found = heard(path, b"".join(parts))
    np.testing.assert_array_equal(found, np.concatenate(single))
    assert audio_files.duration(path) == pytest.approx(len(found) / RATE, abs=0.1)
    later = audio_files.read_audio(path, start_seconds=1.5, length_seconds=0.3)
    np.testing.assert_array_equal(later, found[int(1.5 * RATE) :][: int(0.3 * RATE)])


@pytest.mark.parametrize("kind", ["m4a", "mp4"])
def test_joined_quicktime_files_are_refused(kind, tmp_path):
    path = tmp_path / f"x.{kind}"
    clips.write(
        path, 0 if kind == "m4a" else 5, codecs=("mpeg4", "aac"), sound=waves.voice(seconds=SECONDS)
    )
    content = path.read_bytes()
    assert len(heard(path, content)) >= RATE
    with pytest.raises(bad_file.BadFile, match="holds another recording behind its end"):
        heard(path, content + content)


@pytest.mark.parametrize("told", [0, 1, RATE // 2, RATE - 1, RATE])
def test_a_flac_is_heard_to_its_end_whatever_its_header_tells(told, tmp_path):
    whole = encoded("flac")
    content = bytearray(whole)
    said = int.from_bytes(content[18:26], "big")
    assert said & 0xFFFFFFFFF == RATE
    content[18:26] = (said >> 36 << 36 | told).to_bytes(8, "big")
    right = heard(tmp_path / "x.flac", whole)
    np.testing.assert_array_equal(heard(tmp_path / "x.flac", bytes(content)), right)
    assert audio_files.duration(tmp_path / "x.flac") == SECONDS
    joined = heard(tmp_path / "x.flac", bytes(content) + bytes(content))
    np.testing.assert_array_equal(joined, np.concatenate([right, right]))


def test_a_flac_that_was_cut_is_not_longer_than_its_header_tells(tmp_path):
    whole = encoded("flac")
    found = heard(tmp_path / "x.flac", whole[: len(whole) // 2])
    assert 0 < len(found) < RATE


@pytest.mark.parametrize("share, refused", [(0.5, True), (0.89, True), (0.91, False), (1.0, False)])
def test_an_au_whose_header_tells_of_less_than_it_holds_is_refused(share, refused, tmp_path):
    content = bytearray(encoded("au"))
    content[8:12] = struct.pack(">I", 2 * round(share * RATE))
    if refused:
        left = 2 * RATE - 2 * round(share * RATE)
        with pytest.raises(bad_file.BadFile, match=f"holds {left} bytes behind the end"):
            heard(tmp_path / "x.au", bytes(content))
    else:
        assert len(heard(tmp_path / "x.au", bytes(content))) == round(share * RATE)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_wav_whose_odd_chunk_lacks_its_pad_byte_is_read(size, tmp_path):
    samples = waves.chunk(b"data", waves.voice().tobytes())
    plain = heard(tmp_path / "x.wav", waves.riff(waves.form(), samples))
    odd = waves.chunk(b"note", b"a" * size)
    found = heard(tmp_path / "x.wav", waves.riff(waves.form(), odd, samples))
    np.testing.assert_array_equal(found, plain)
    assert audio_files.describe_audio(tmp_path / "x.wav") == "16000 Hz, 1 channel, WAV PCM_16"
    np.testing.assert_array_equal(
        heard(tmp_path / "x.wav", waves.riff(odd, waves.form(), odd, samples)), plain
    )


@pytest.mark.parametrize("count, refused", [(3_198, False), (3_200, True)])
@pytest.mark.parametrize("byte", [0, 1])
def test_what_lies_behind_the_end_of_a_wav_may_last_a_tenth_of_a_second(
    count, refused, byte, tmp_path
):
    content = waves.riff(waves.form(), waves.chunk(b"data", waves.voice().tobytes()))
    content += bytes([byte]) * count
    if refused and byte:
        with pytest.raises(bad_file.BadFile, match="3200 bytes behind the end .*, 0.10 s if"):
            heard(tmp_path / "x.wav", content)
    else:
        assert len(heard(tmp_path / "x.wav", content)) == round(waves.SECONDS * RATE)


def test_channels_far_outside_are_refused_though_their_mean_is_not(tmp_path):
    voice = waves.voice() / 32_768
    both = np.stack([voice + 1e6, voice - 1e6], axis=1).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", both, RATE, subtype="FLOAT")
    with pytest.raises(bad_file.BadFile, match=r"has float samples up to 1e\+06"):
        audio_files.read_audio(tmp_path / "x.wav")
    both[:, 0] = voice
    soundfile.write(tmp_path / "x.wav", both, RATE, subtype="FLOAT")
    assert len(audio_files.read_audio(tmp_path / "x.wav", channel="left")) == len(voice)


def test_a_part_of_a_file_reads_as_a_file(tmp_path):
    (tmp_path / "x").write_bytes(bytes(range(100)))
    with open(tmp_path / "x", "rb") as file:
        part = spliced.Spliced(file, 10, 20, b"head")
        assert part.read() == b"head" + bytes(range(10, 20))
        assert part.seek(-3, io.SEEK_END) == 11 and part.read(2) == bytes([17, 18])
        assert part.seek(2) == 2 and part.read(4) == b"ad" + bytes([10, 11])
        assert part.seek(1, io.SEEK_CUR) == 7 and part.tell() == 7 and part.read(99)[0] == 13


def test_an_ogg_is_taken_apart_where_something_lies_between_two_links(tmp_path):
    links = [encoded("ogg", seed) for seed in range(2)]
    (tmp_path / "x.ogg").write_bytes(links[0] + b"junk" * 30_000 + links[1])
    with open(tmp_path / "x.ogg", "rb") as file:
        found = [part.read() for part in ogg_links.parts(file)]
    assert found == [links[0] + b"junk" * 30_000, links[1]]
    with open(tmp_path / "x.ogg", "wb+") as file:
        file.write(links[0])
        file.flush()
        assert ogg_links.parts(file) == []


def test_chunks_end_with_the_first_that_is_none(tmp_path):
    """Gigabytes of zeros are not walked eight bytes at a time."""
    (tmp_path / "x.wav").write_bytes(waves.riff(waves.form()) + bytes(1 << 20))
    with open(tmp_path / "x.wav", "rb") as file:
        assert riff.parts(file) == []
        assert file.tell() < 100
