"""What a killed run decoded is not decoded again, and the data set is the same, byte for byte."""

import os
import pathlib
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image

from tfav import registry
from tfav.data.prepare import chunks, dataset, manifest, records


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Ten rows, the fourth of which has a broken sound; two rows a chunk."""
    monkeypatch.setattr(chunks, "ROWS", 2)
    found = []
    for k in range(10):
        soundfile.write(tmp_path / f"{k}.wav", np.full(3200, 0.05 * (k + 1)), 16_000)
        Image.new("RGB", (24, 20 + k), (20 * k, 9, 99)).save(tmp_path / f"{k}.png")
        paths = {"audio": str(tmp_path / f"{k}.wav"), "image": str(tmp_path / f"{k}.png")}
        if k % 3 == 1:
            del paths["image"]
        further = {"flow": (str(tmp_path / f"{k}.png"),) * 2} if k == 5 else {}
        split = "test" if k > 6 else "train"
        found.append(manifest.Row(str(k), split, "x", extra={"k": "é"}, further=further, **paths))
    (tmp_path / "3.wav").write_text("no sound")
    return found


@pytest.fixture
def settings(tmp_path):
    return {"max_bad_fraction": 0.2, "draw_lists": False, "output": str(tmp_path / "set")}


def contents(folder):
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def counted(monkeypatch):
    """Returns the ids that are decoded from now on."""
    decoded, make = [], records.make
    monkeypatch.setattr(records, "make", lambda row, o: (decoded.append(row.id), make(row, o))[1])
    return decoded


def test_a_killed_run_goes_on_and_gives_the_same_bytes(rows, settings, tmp_path, monkeypatch):
    dataset.prepare(rows, dataset.Settings(**settings))
    expected = contents(tmp_path / "set")
    kept = dataset.Settings(
        **{**settings, "output": str(tmp_path / "again")}, decoded=str(tmp_path / "kept")
    )
    add = dataset.shards.Writer.add

    def killed(self, record):
        if record.id == "7":
            raise KeyboardInterrupt
        add(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(dataset.shards.Writer, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            dataset.prepare(rows, kept)
    assert not (tmp_path / "again").exists()
    # Rows 0 to 5 are three whole chunks; 6 and 7 were being written.
    assert len([name for name in os.listdir(tmp_path / "kept") if name.endswith(".tfrecord")]) == 3
    decoded = counted(monkeypatch)
    dataset.prepare(rows, kept)
    assert sorted(decoded) == ["6", "7", "8", "9"]
    assert contents(tmp_path / "again") == expected
    assert not (tmp_path / "kept").exists()


def test_what_is_no_longer_so_is_decoded_again(rows, tmp_path, monkeypatch):
    folder, options = str(tmp_path / "kept"), records.Options()
    for chunk in chunks.cut(rows, options, folder):
        chunks.fill(chunk, options)
    soundfile.write(tmp_path / "9.wav", np.full(4000, 0.5), 16_000)
    decoded = counted(monkeypatch)
    results = dict(zip("0123456789", chunks.make_all(chunks.cut(rows, options, folder), options)))
    assert sorted(decoded) == ["8", "9"]
    assert len(results["9"][1].audio) == 4000
    assert isinstance(results["3"][1], records.BadRow) and "3.wav" in results["3"][1].file
    decoded.clear()
    smaller = records.Options(max_image_side=18)
    list(chunks.make_all(chunks.cut(rows, smaller, folder), smaller))
    assert len(decoded) == 10


def test_a_folder_with_other_things_in_it_is_refused(rows, tmp_path):
    with pytest.raises(registry.UserError, match="which is no decoded chunk"):
        chunks.cut(rows, records.Options(), str(tmp_path))


def test_beam_gives_the_same_bytes(rows, settings, tmp_path):
    pytest.importorskip("apache_beam")
    dataset.prepare(rows, dataset.Settings(**settings))
    beamed = {**settings, "output": str(tmp_path / "beamed"), "decoded": str(tmp_path / "kept")}
    dataset.prepare(rows, dataset.Settings(**beamed, runner="direct"))
    assert contents(tmp_path / "beamed") == contents(tmp_path / "set")


@pytest.mark.parametrize(
    ("runner", "flag", "message"),
    [
        ("abacus", "--x=1", "--runner=abacus with --beam_options=--x=1"),
        ("direct", "--direct_num_workers=two", "invalid int value: 'two'"),
    ],
)
def test_what_beam_refuses_is_named(rows, settings, tmp_path, runner, flag, message):
    pytest.importorskip("apache_beam")
    beamed = {**settings, "decoded": str(tmp_path / "kept"), "runner": runner}
    with pytest.raises(registry.UserError, match=message):
        dataset.prepare(rows, dataset.Settings(**beamed, beam_options=[flag]))


def test_a_runner_needs_a_place_that_all_its_workers_reach(rows, settings):
    with pytest.raises(registry.UserError, match="--runner=direct needs --decoded=FOLDER"):
        dataset.prepare(rows, dataset.Settings(**settings, runner="direct"))


def test_without_beam_a_sentence_names_the_extra(rows, settings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    beamed = {**settings, "decoded": str(tmp_path / "kept"), "runner": "direct"}
    with pytest.raises(registry.UserError, match=r"pip install 'tfav\[beam\]'"):
        dataset.prepare(rows, dataset.Settings(**beamed))
