import numpy as np
import pytest
import soundfile
import soxr

from tfav import compat, registry
from tfav.data.input import streaming

addons_line = pytest.mark.skipif(compat.KERAS_3, reason="tensorflow-io")
current_line = pytest.mark.skipif(not compat.KERAS_3, reason="no tensorflow-io")


def sine(rate_hz, seconds=0.5, pitch_hz=440.0):
    return 0.5 * np.sin(2 * np.pi * pitch_hz * np.arange(round(rate_hz * seconds)) / rate_hz)


def read(paths, **changes):
    arguments = {"batch_size": 16, "max_seconds": 10.0} | changes
    return list(streaming.file_batches(paths, **arguments).as_numpy_iterator())


@current_line
def test_without_tensorflow_io_the_sentence_names_the_extra(tmp_path):
    with pytest.raises(registry.UserError, match=r"tensorflow-io.*tfav\[addons-cpu\]"):
        streaming.file_batches([tmp_path / "a.wav"], batch_size=1, max_seconds=1)


@addons_line
@pytest.mark.filterwarnings("ignore")
def test_sound_at_16_khz_is_what_soundfile_reads(tmp_path):
    forms = [
        ("wav", "WAV", "PCM_U8"),
        ("wav", "WAV", "PCM_16"),
        ("wav", "WAV", "PCM_24"),
        ("wav", "WAV", "FLOAT"),
        ("wav", "WAVEX", "PCM_16"),
        ("flac", "FLAC", "PCM_16"),
        ("flac", "FLAC", "PCM_24"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
    ]
    paths, expected = [], []
    for number, (suffix, container, subtype) in enumerate(forms):
        path = tmp_path / f"{number}.{suffix}"
        stereo = np.stack([sine(16_000), sine(16_000, pitch_hz=300)], axis=1)
        soundfile.write(path, stereo, 16_000, subtype=subtype, format=container)
        paths.append(path)
        expected.append(soundfile.read(path, dtype="float32")[0].mean(axis=1))
    (batch,) = read(paths)
    assert [name.decode() for name in batch["id"]] == [str(path) for path in paths]
    for row, reference in enumerate(expected):
        assert batch["num_samples"][row] == len(reference)
        np.testing.assert_allclose(batch["audio"][row, : len(reference)], reference, atol=1e-6)
        np.testing.assert_array_equal(batch["audio"][row, len(reference) :], 0)


@addons_line
def test_other_rates_come_out_in_step_with_the_sound(tmp_path):
    # tensorflow-io's own result is late by 32 samples or more: a correlation of 0.7 or less.
    rates = [8000, 11_025, 22_050, 44_100, 48_000]
    paths = [tmp_path / f"{rate}.flac" for rate in rates]
    for path, rate in zip(paths, rates):
        soundfile.write(path, sine(rate), rate)
    (batch,) = read(paths)
    for row, (path, rate) in enumerate(zip(paths, rates)):
        reference = soxr.resample(soundfile.read(path)[0], rate, 16_000)
        size = batch["num_samples"][row]
        assert abs(size - 8000) <= 1 and abs(size - len(reference)) <= 1
        found = batch["audio"][row, :size]
        assert np.corrcoef(found, sine(16_000)[:size])[0, 1] > 0.9999
        # Away from the ends, where the two filters see different edges.
        np.testing.assert_allclose(found[200:-200], reference[200 : size - 200], atol=1e-3)


@addons_line
def test_only_the_first_seconds_are_kept_and_rows_can_be_named(tmp_path):
    for name, seconds in (("long", 0.5), ("short", 0.1)):
        soundfile.write(tmp_path / f"{name}.wav", sine(16_000, seconds), 16_000)
    paths = [tmp_path / "long.wav", tmp_path / "short.wav"]
    first, second = read(paths, batch_size=1, max_seconds=0.25, ids=["a", "b"])
    assert first["id"].tolist() == [b"a"] and second["id"].tolist() == [b"b"]
    assert first["audio"].shape == (1, 4000) and second["audio"].shape == (1, 1600)


@addons_line
@pytest.mark.parametrize("content", [None, b"", b"this is no sound at all" * 9])
def test_a_file_that_is_no_sound_is_named(tmp_path, content):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(registry.UserError, match=r"a\.wav cannot be read as sound"):
        read([path])


@addons_line
def test_a_form_that_tensorflow_io_reads_wrongly_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(16_000), 16_000, subtype="PCM_32")
    with pytest.raises(registry.UserError, match=r"a\.wav is WAV PCM_32.*tfav-prepare"):
        read([tmp_path / "a.wav"])


@addons_line
def test_a_file_without_samples_is_named(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16_000)
    with pytest.raises(registry.UserError, match=r"a\.wav holds no samples"):
        read([tmp_path / "a.wav"])


@addons_line
def test_a_sample_that_is_no_number_stops_the_reading(tmp_path):
    samples = sine(16_000)
    samples[5] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(Exception, match="NaN or Inf in"):
        read([tmp_path / "a.wav"])
