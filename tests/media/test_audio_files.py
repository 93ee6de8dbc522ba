"""Every kind of sound file, and every way in which one can be broken."""

import struct

import numpy as np
import pytest
import soundfile

from tfav.media import audio_files, bad_file, mono

RATE = 16_000


def _tone(rate=RATE, seconds=0.5, hz=440.0, peak=0.5):
    return (peak * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(
        np.float32
    )


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("WAV", "PCM_16", 1 / 32768),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "DOUBLE", 1e-7),
        ("WAVEX", "PCM_16", 1 / 32768),
        ("WAVEX", "PCM_24", 1e-6),
        ("WAVEX", "FLOAT", 1e-7),
        ("WAV", "ULAW", 0.02),
        ("FLAC", "PCM_16", 1 / 32768),
        ("FLAC", "PCM_24", 1e-6),
    ],
)
def test_lossless_sound_comes_back_within_its_resolution(tmp_path, kind, subtype, tolerance):
    soundfile.write(tmp_path / "x", _tone(), RATE, format=kind, subtype=subtype)
    found = audio_files.read_audio(tmp_path / "x")
    assert found.dtype == np.float32 and found.shape == (8000,)
    np.testing.assert_allclose(found, _tone(), atol=tolerance)


@pytest.mark.parametrize("name", ["x.ogg", "x.mp3"])
def test_lossy_sound_comes_back_alike(tmp_path, name):
    soundfile.write(tmp_path / name, _tone(44_100), 44_100)
    found = audio_files.read_audio(tmp_path / name)
    assert abs(len(found) - 8000) < 2000  # MP3 pads to whole frames
    spectrum = np.abs(np.fft.rfft(found[1000:7000]))
    assert np.argmax(spectrum) * RATE / 6000 == pytest.approx(440, abs=3)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_other_rates_become_16_khz(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", _tone(rate), rate, subtype="FLOAT")
    found = audio_files.read_audio(tmp_path / "x.wav")
    assert len(found) == pytest.approx(8000, abs=1)
    np.testing.assert_allclose(found[800:7000], _tone()[800:7000], atol=2e-3)


def test_what_lies_above_8_khz_does_not_fold_back(tmp_path):
    soundfile.write(tmp_path / "x.wav", _tone(44_100, hz=11_000) + 0.01, 44_100, subtype="FLOAT")
    assert np.abs(audio_files.read_audio(tmp_path / "x.wav")[800:7000] - 0.01).max() < 1e-3


def test_stereo_gives_the_mean_or_the_left_channel(tmp_path):
    left, right = _tone(), _tone(hz=300.0)
    soundfile.write(tmp_path / "x.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    mean = audio_files.read_audio(tmp_path / "x.wav")
    np.testing.assert_allclose(mean, (left + right) / 2, atol=1e-6)
    np.testing.assert_array_equal(audio_files.read_audio(tmp_path / "x.wav", channel="left"), left)


def test_16_bit_samples_survive_unchanged(tmp_path):
    samples = np.array([-32768, -1, 0, 1, 32767] * 400, dtype=np.int16)
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="PCM_16")
    found = mono.to_pcm16(audio_files.read_audio(tmp_path / "x.wav"))
    np.testing.assert_array_equal(found, samples)


def test_overshoot_is_clipped_not_wrapped():
    assert list(mono.to_pcm16(np.array([1.5, -1.5, 1.0], np.float32))) == [32767, -32768, 32767]


def _nan(path):
    samples = _tone()
    samples[[3, 5]] = [np.nan, np.inf]
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def _gap_in_flac(path):
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 48_000), RATE, format="FLAC")
    content = path.read_bytes()
    path.write_bytes(content[:20_000] + bytes(200) + content[20_200:])


def _broken_wave(path):
    path.write_bytes(b"RIFF" + struct.pack("<I", 4) + b"WAVE")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"not sound at all" * 99), "not readable as audio"),
        (_broken_wave, "not readable as audio"),
        (_gap_in_flac, r"is damaged at 0\.51 s \(.*flac decoder"),
        (_nan, "2 samples that are NaN or infinite"),
        (lambda path: soundfile.write(path, np.zeros(8000), RATE), "is silent"),
        (lambda path: soundfile.write(path, _tone(seconds=0.09), RATE), "lasts 0.090 s"),
        (lambda path: soundfile.write(path, _tone()[:1599], RATE), "lasts 0.099 s, less than 0.1"),
        (lambda path: soundfile.write(path, np.zeros(0), RATE), "lasts 0.000 s"),
        (
            lambda path: soundfile.write(path, _tone() * 20_000, RATE, subtype="FLOAT"),
            r"up to 1e\+04",
        ),
    ],
)
def test_sound_that_cannot_be_used_is_refused_with_the_reason(tmp_path, make, reason):
    make(tmp_path / "x.wav")
    with pytest.raises(bad_file.BadFile, match=reason):
        audio_files.read_audio(tmp_path / "x.wav")


def test_a_file_is_described(tmp_path):
    soundfile.write(tmp_path / "x", np.zeros((9, 2)), 44_100, format="WAVEX", subtype="PCM_24")
    assert audio_files.describe_audio(tmp_path / "x") == "44100 Hz, 2 channels, WAVEX PCM_24"


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_a_part_of_a_sound(tmp_path, rate):
    time = np.arange(2 * rate) / rate
    soundfile.write(tmp_path / "x.wav", np.where(time < 1, 0.25, 0.5), rate, subtype="PCM_24")
    whole = audio_files.read_audio(tmp_path / "x.wav")
    part = audio_files.read_audio(tmp_path / "x.wav", start_seconds=0.75, length_seconds=0.5)
    assert len(part) == 8000
    np.testing.assert_allclose(part[40:-40], whole[12_040:19_960], atol=2e-3)
    assert len(audio_files.read_audio(tmp_path / "x.wav", start_seconds=1.75)) == 4000
    with pytest.raises(bad_file.BadFile, match="has no sound from 2 s on"):
        audio_files.read_audio(tmp_path / "x.wav", start_seconds=2.0)


def test_a_sound_file_that_ends_early_is_a_shorter_clip(tmp_path):
    soundfile.write(tmp_path / "x.wav", _tone(), RATE, subtype="PCM_16")
    (tmp_path / "x.wav").write_bytes((tmp_path / "x.wav").read_bytes()[: 44 + 2 * 5000])
    found = audio_files.read_audio(tmp_path / "x.wav")
    np.testing.assert_allclose(found, _tone()[:5000], atol=1e-4)
