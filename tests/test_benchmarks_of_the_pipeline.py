"""The benchmarks of loader, files and host: all sides of a row do the same work."""

import numpy as np
import pytest
import scipy.io.wavfile

from benchmarks import embedding, exported, host, loader, step
from tfav.data import shards

SMALL = loader.Size(rows=8, seconds=0.5, pixels=16, stored_seconds=1.0, stored_pixels=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a folder with the files of the loader's benchmark, of a small size."""
    folder = str(tmp_path_factory.mktemp("files"))
    loader.write(folder, SMALL)
    return folder


def test_all_sides_of_the_loader_make_batches_of_one_shape(folder):
    for side in (loader.ours, loader.twin, loader.floor):
        audio, image = side(folder, SMALL)()
        assert audio.shape == (8, 8000) and audio.dtype == np.float32, side
        assert image.shape == (8, 16, 16, 3), side


@pytest.mark.parametrize("side", [loader.ours, loader.twin])
def test_both_loaders_cut_a_stretch_of_each_stored_clip(folder, side):
    audio, _ = side(folder, SMALL)()
    stored = [
        scipy.io.wavfile.read(f"{folder}/{k}.wav")[1] / np.float32(32768)
        for k in range(loader.IDENTITIES)
    ]
    for stretch in audio:
        places = [(k, np.flatnonzero(clip[:-7999] == stretch[0])) for k, clip in enumerate(stored)]
        assert any(
            np.array_equal(stored[k][p : p + 8000], stretch) for k, found in places for p in found
        )


def test_sides_in_processes_of_their_own_are_timed_in_turn_and_end(tmp_path):
    with loader.Sides(str(tmp_path), SMALL) as sides:
        times = sides.times({"one": (loader.twin, 1), "other": (loader.twin, 1)}, count=2)
        processes = [process for process, _ in sides._running]
    assert [len(found) for kind in times for found in kind.values()] == [2] * 4
    assert all(c > 0 for found in times.computing.values() for c in found)
    assert [process.exitcode for process in processes] == [0, 0]


def test_prepare_makes_a_record_of_every_file(folder):
    made = embedding.prepare(folder, SMALL)()
    assert len(made) == 2 * embedding.FILES
    assert all(isinstance(result, shards.Record) for _, result in made)


def test_the_export_that_is_embedded_by_holds_both_encoders(folder, tmp_path):
    exported.write(str(tmp_path / "export"), folder)
    names = {path.name for path in (tmp_path / "export").iterdir()}
    assert {"1", "audio_float32.tflite", "image_float32.tflite"} <= names


def test_the_hand_written_loop_begins_with_the_loss_of_ours():
    config = "configs/mmcosine.py:av_digits"
    ours, theirs = (step.Step(config, 6, 0.5, 3) for _ in range(2))
    assert host.by_hand(theirs, 1)() == pytest.approx(ours.runner(1)()["loss"], rel=1e-5)
