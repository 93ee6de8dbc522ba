"""Bad records in training: a stop that names them, or the next row of the plan, for all alike."""

import csv
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tfav import registry, scalars, tensors
from tfav.commands import train
from tfav.data import shards
from tfav.data.input import endless, reader
from tfav.experiment import bad_records
from tfav.recipes import voice_face

BAD = "v4/1.wav"


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> str:
    return small.write_dataset(str(tmp_path_factory.mktemp("bad") / "data"))


@pytest.fixture
def data(intact, tmp_path) -> str:
    return str(shutil.copytree(intact, tmp_path / "data"))


def damage(data, *names: str) -> None:
    """Flips a byte in the middle of records."""
    index = shards.Index.read(data)
    for row in np.flatnonzero(np.isin(index.id, names)):
        with open(os.path.join(data, index.shard[row]), "r+b") as file:
            file.seek(int(index.offset[row] + index.length[row] // 2))
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0xFF]))


def _cut(data, name: str) -> None:
    """Cuts a shard in the middle of a record."""
    index = shards.Index.read(data)
    (row,) = np.flatnonzero(index.id == name)
    os.truncate(os.path.join(data, index.shard[row]), int(index.offset[row] + 20))


def _place(data, name: str) -> str:
    index = shards.Index.read(data, cut=True)
    (row,) = np.flatnonzero(index.id == name)
    return f"shard {index.shard[row]}, row {row + 1}, id {name}"


def _batches(data, context=None, start=0, steps=12, tolerant=True):
    make = endless.identity_batches(
        data,
        "train",
        batch_size=4,
        seed=1,
        audio_seconds=(0.1, 0.1),
        items=small.pair(8),
        start_step=start,
        tolerant=tolerant,
    )
    return make, list(make(context).take(steps).as_numpy_iterator())


@pytest.mark.parametrize("kept", ["in memory", "on disk"])
def test_a_bad_row_is_replaced_by_that_of_the_same_place_of_the_next_batch(
    data, intact, monkeypatch, kept
):
    if kept == "on disk":
        monkeypatch.setattr(reader, "_KEPT_BYTES", 0)
    damage(data, BAD)
    make, found = _batches(data)
    _, whole = _batches(intact, tolerant=False)
    replaced = 0
    for step in range(12):
        bad = np.array([BAD in name.split("+") for name in make.ids(step)])
        np.testing.assert_array_equal(found[step][tensors.SKIPPED], bad.astype(int))
        for name in ("audio", "image", "label"):
            np.testing.assert_array_equal(found[step][name][~bad], whole[step][name][~bad])
        labels = make.plan(tf.constant(step, tf.int64), attempt=1)["label"].numpy()
        np.testing.assert_array_equal(found[step]["label"][bad], labels[bad])
        if step % 2 == 0:  # of the two batches of an epoch of eight identities
            np.testing.assert_array_equal(labels, whole[step + 1]["label"])
        assert len(set(found[step]["label"].tolist())) == 4  # still of distinct identities
        replaced += bad.sum()
    assert replaced >= 2


def test_pipelines_of_replicas_and_of_a_resume_replace_alike(data):
    damage(data, BAD, "f0/1.jpg")
    _, whole = _batches(data)
    parts = [_batches(data, tf.distribute.InputContext(2, i, 2))[1] for i in range(2)]
    for one, *halves in zip(whole, *parts):
        for name in one:
            both = np.concatenate([half[name] for half in halves])
            np.testing.assert_array_equal(both, one[name])
    for one, later in zip(whole[5:], _batches(data, start=5, steps=7)[1]):
        for name in one:
            np.testing.assert_array_equal(later[name], one[name])


def test_a_training_stops_at_a_bad_record_and_names_shard_row_and_id(data, tmp_path):
    damage(data, BAD)
    sentence = rf"cannot be read \({_place(data, BAD)}: its checksum does not fit\): copy the data"
    with pytest.raises(registry.UserError, match=sentence):
        train.train(small.config(data), str(tmp_path / "run"), "one_device")


def test_a_shard_that_goes_while_a_run_trains_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "_KEPT_BYTES", 0)
    (shard,) = set(shards.Index.read(data).select("train").shard.tolist())

    def leave(recipe, step):
        if step == 5:
            os.remove(os.path.join(data, shard))

    monkeypatch.setattr(voice_face.VoiceFace, "between_calls", leave)
    c = small.config(data)
    c.train.num_steps = 1000
    with pytest.raises(registry.UserError, match=rf"shard {shard}, row 1, .*its shard is missing"):
        train.train(c, str(tmp_path / "run"), "one_device")
    assert scalars.last_step(str(tmp_path / "run")) >= 5  # what was done is kept


def test_a_run_that_tolerates_it_ends_and_lists_it_also_after_a_resume(data, tmp_path):
    damage(data, BAD)
    c = small.config(data)
    c.data.max_bad_records = 1
    train.train(c, str(tmp_path / "whole"), "one_device")
    c.train.num_steps = 5
    train.train(c, str(tmp_path / "parts"), "one_device")
    c.train.num_steps = 10
    train.train(c, str(tmp_path / "parts"), "one_device")
    for run in ("whole", "parts"):
        with open(tmp_path / run / bad_records.FILE, newline="", encoding="utf-8") as file:
            (bad,) = csv.DictReader(file)
        assert bad_records.words(bad) == f"{_place(data, BAD)}: its checksum does not fit"
    lines = [scalars.read(str(tmp_path / run), whole=True) for run in ("whole", "parts")]
    assert sum(line["replaced"] for line in lines[0]) > 0
    for one, other in zip(*lines, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)


def test_more_than_may_be_is_a_stop_and_a_larger_number_goes_on(data, tmp_path):
    damage(data, BAD, "v0/0.wav", "v0/1.wav")
    c = small.config(data)
    c.data.max_bad_records = 1
    sentence = r"[23] records of .*max_bad_records=1 allows fewer \(last: shard .*, row .*, id v"
    with pytest.raises(registry.UserError, match=sentence):
        train.train(c, str(tmp_path / "run"), "one_device")
    c.data.max_bad_records = 3
    train.train(c, str(tmp_path / "run"), "one_device")
    assert scalars.last_step(str(tmp_path / "run")) == 10


def test_a_shard_that_is_cut_is_refused_before_the_start_or_replaced(data, tmp_path):
    _cut(data, "f9/1.jpg")
    index = shards.Index.read(data, cut=True).select("train")
    (first,) = np.flatnonzero(index.id == "f9/1.jpg")
    lost = len(index) - int(first)
    c = small.config(data)
    with pytest.raises(registry.UserError, match="train-00000-of-00001.tfrecord has .* bytes inst"):
        train.train(c, str(tmp_path / "run"), "one_device")
    c.data.max_bad_records = lost - 1
    sentence = rf"{lost} of 32 records of train .* \(first: {_place(data, 'f9/1.jpg')}: missing"
    with pytest.raises(registry.UserError, match=sentence):
        train.train(c, str(tmp_path / "run"), "one_device")
    assert not (tmp_path / "run").exists()
    c.data.max_bad_records = lost
    train.train(c, str(tmp_path / "run"), "one_device")
    assert scalars.last_step(str(tmp_path / "run")) == 10
