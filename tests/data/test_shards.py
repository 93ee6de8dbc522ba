"""Shards and their index: what is written comes back, from its byte range alone."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tfav import registry, states
from tfav.data import shards
from tfav.data.input import endless, pipeline
from tfav.experiment import measurement


def _records():
    rows = []
    for split, count in (("train", 5), ("val", 2)):
        for i in range(count):
            rows.append(
                shards.Record(
                    id=f"{split}/{i}, with comma",
                    split=split,
                    label=f"p{i % 2}",
                    audio=np.arange(i + 1, dtype=np.int16) - 1 if i % 2 == 0 else None,
                    image=b"jpeg" * (i + 1) if i % 2 else None,
                    height=10 * (i % 2),
                    width=20 * (i % 2),
                    extra={"gender": "fm"[i % 2]},
                )
            )
    return rows


@pytest.fixture
def directory(tmp_path):
    shards.write(tmp_path / "set", _records(), source="test", shards=2, columns=["gender"])
    return tmp_path / "set"


def _payload(index, row):
    """Reads one record from its byte range alone, whatever a TFRecord is."""
    size = index.shard_bytes[str(index.shard[row])]
    offset, length = int(index.offset[row]), int(index.length[row])
    data = tf.data.FixedLengthRecordDataset(
        str(pathlib.Path(index.directory) / str(index.shard[row])),
        record_bytes=length,
        header_bytes=offset,
        footer_bytes=size - offset - length,
    )
    return tf.train.Example.FromString(data.get_single_element().numpy())


def test_every_record_comes_back_from_its_byte_range(directory):
    index = shards.Index.read(directory)
    for row, record in enumerate(_records()):
        feature = _payload(index, row).features.feature
        assert feature["id"].bytes_list.value[0].decode() == record.id == index.id[row]
        assert sorted(feature) == sorted(["id", "audio" if record.image is None else "image"])
        if record.image is None:
            found = np.frombuffer(feature["audio"].bytes_list.value[0], "<i2")
            np.testing.assert_array_equal(found, record.audio)
        else:
            assert feature["image"].bytes_list.value[0] == record.image


def test_the_records_are_tfrecords_in_the_order_of_the_index(directory):
    index = shards.Index.read(directory)
    names = [str(directory / shard["file"]) for shard in index.info["shards"]]
    found = [
        tf.train.Example.FromString(x.numpy()).features.feature["id"].bytes_list.value[0].decode()
        for x in tf.data.TFRecordDataset(names)
    ]
    assert found == list(index.id)


def test_the_index_holds_the_columns(directory):
    index = shards.Index.read(directory)
    np.testing.assert_array_equal(index.num_samples, [1, 0, 3, 0, 5, 1, 0])
    np.testing.assert_array_equal(index.height, [0, 10, 0, 10, 0, 0, 10])
    np.testing.assert_array_equal(index.width, [0, 20, 0, 20, 0, 0, 20])
    assert list(index.extra["gender"]) == list("fmfmffm")
    assert index.offset.dtype == np.int64 and len(index) == 7
    # 5 rows over 2 shards: row i goes to shard i * 2 // 5 = 0 0 0 1 1.
    assert (
        list(index.shard[:5])
        == ["train-00000-of-00002.tfrecord"] * 3 + ["train-00001-of-00002.tfrecord"] * 2
    )


def _moving():
    """A row with two frames and three of flow, one with a single frame, one with sound alone."""
    frames = {"image": [b"one", b"two"], "height": 10, "width": 20, "further": {"flow": [b"f"] * 3}}
    yield shards.Record("clip", "train", "a", **frames)
    yield shards.Record("photo", "train", "a", image=b"p", height=10, width=10)
    yield shards.Record("sound", "test", "b", audio=np.ones(4, np.int16))


def test_frames_and_further_modalities_come_back(tmp_path):
    shards.write(tmp_path, _moving(), modalities=["flow", "diff"])
    index = shards.Index.read(tmp_path)
    assert index.info["modalities"] == ["flow", "diff"]
    assert {name: list(counts) for name, counts in index.frames.items()} == {
        "image": [2, 1, 0],
        "flow": [3, 0, 0],
        "diff": [0, 0, 0],
    }
    feature = _payload(index, 0).features.feature
    assert list(feature["image"].bytes_list.value) == [b"one", b"two"]
    assert list(feature["flow"].bytes_list.value) == [b"f", b"f", b"f"]
    assert index.info["splits"]["train"] == {
        "labels": ["a"],
        "audio": 0,
        "image": 2,
        "flow": 1,
        "diff": 0,
        "rows": 2,
    }
    assert (
        (tmp_path / "index.csv")
        .read_text()
        .startswith(
            "id,split,label,shard,offset,length,num_samples,height,width,num_frames,num_frames_flow,"
            "num_frames_diff\n"
        )
    )


def test_the_index_says_who_holds_what(tmp_path):
    shards.write(tmp_path, _moving(), modalities=["flow", "diff"])
    index = shards.Index.read(tmp_path)
    held = {name: list(index.held(name)) for name in ("audio", "image", "flow", "diff", "depth")}
    assert held == {
        "audio": [False, False, True],
        "image": [True, True, False],
        "flow": [True, False, False],
        "diff": [False, False, False],
        "depth": [False, False, False],
    }
    assert index.modalities == ("audio", "image", "flow")
    assert index.select("test").modalities == ("audio",)
    assert list(index.take(np.array([1, 0])).frames["image"]) == [1, 2]


def test_a_modality_that_was_not_announced_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="clip has {'flow'}"):
        shards.write(tmp_path, _moving(), modalities=["diff"])


def test_a_split_selects_its_rows_and_its_labels(directory):
    index = shards.Index.read(directory)
    assert list(index.select("val").id) == ["val/0, with comma", "val/1, with comma"]
    assert index.labels("train") == ["p0", "p1"]
    assert index.info["splits"]["train"] == {
        "labels": ["p0", "p1"],
        "audio": 3,
        "image": 2,
        "rows": 5,
    }


def test_an_unknown_split_is_answered_with_the_splits_there_are(directory):
    with pytest.raises(registry.UserError, match="no split 'tst': it has train, val"):
        shards.Index.read(directory).select("tst")


def test_the_same_records_give_the_same_bytes(directory, tmp_path):
    shards.write(tmp_path / "again", _records(), source="test", shards=2, columns=["gender"])
    files = sorted(path.name for path in directory.iterdir())
    assert files == sorted(path.name for path in (tmp_path / "again").iterdir())
    for name in files:
        assert (directory / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_shards_that_lost_all_their_rows_exist_and_are_empty(tmp_path):
    records = _records()[:1]
    with shards.Writer(tmp_path, source="test", planned={"train": 4}, shards=4) as writer:
        writer.add(records[0])
    index = shards.Index.read(tmp_path)
    assert [shard["records"] for shard in index.info["shards"]] == [1, 0, 0, 0]


def test_a_split_that_comes_back_later_is_an_error(tmp_path):
    train, val = _records()[0], _records()[5]
    with (
        pytest.raises(ValueError, match="must follow each other"),
        shards.Writer(tmp_path, source="test", planned={"train": 2, "val": 1}) as writer,
    ):
        for record in (train, val, train):
            writer.add(record)


def test_a_folder_that_is_no_data_set_says_what_to_run(tmp_path):
    with pytest.raises(registry.UserError, match="no dataset.json.*tfav-prepare"):
        shards.Index.read(tmp_path)


def test_another_format_is_refused(directory):
    info = json.loads((directory / "dataset.json").read_text())
    del info["sha256"]  # as in the files of older versions
    for found in (1, 3):
        states.write(directory / "dataset.json", {**info, "format": found})
        with pytest.raises(registry.UserError, match=f"format {found} and this version reads 2"):
            shards.Index.read(directory)


@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_shard_cut_short_or_missing_is_named(directory, damage):
    path = directory / "val-00000-of-00002.tfrecord"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    with pytest.raises(registry.UserError, match="val-00000-of-00002.tfrecord"):
        shards.Index.read(directory)


def test_data_of_other_content_are_other_data_though_every_record_is_as_long(directory, tmp_path):
    records = _records()
    records[0] = dataclasses.replace(records[0], audio=records[0].audio + 5)
    shards.write(tmp_path / "other", records, source="test", shards=2, columns=["gender"])
    mine, other = (shards.Index.read(folder) for folder in (directory, tmp_path / "other"))
    assert mine.info["index_sha256"] == other.info["index_sha256"]
    assert mine.sha256 == measurement.data_sha256(directory) != other.sha256
    # A data set of an older version is known by its index alone.
    info = json.loads((directory / "dataset.json").read_text())
    for shard in info["shards"]:
        del shard["sha256"]
    del info["sha256"]
    (directory / "dataset.json").write_text(json.dumps(info))
    assert shards.Index.read(directory).sha256 == mine.info["index_sha256"]
    assert measurement.data_sha256(directory) == mine.info["index_sha256"]


def test_a_data_set_is_read_by_any_file_system_that_tensorflow_knows(tmp_path):
    """`ram://` stands for `gs://` and `s3://`, whose paths take the same way."""
    small.write_dataset(str(tmp_path / "data"))
    far = "ram://tfav/data"
    for name in os.listdir(tmp_path / "data"):
        if (tmp_path / "data" / name).is_file():
            with tf.io.gfile.GFile(f"{far}/{name}", "wb") as file:
                file.write((tmp_path / "data" / name).read_bytes())
    sizes = {"batch_size": 4, "seed": 1, "audio_seconds": (0.1, 0.1), "items": small.pair(8)}
    for near, there in zip(
        *(
            endless.identity_batches(place, "train", **sizes)(None).take(2).as_numpy_iterator()
            for place in (str(tmp_path / "data"), far)
        ),
        strict=True,
    ):
        for name in near:
            np.testing.assert_array_equal(near[name], there[name])
    batches = pipeline.evaluation_batches(
        far, "test", "image", batch_size=4, item=small.item("image"), max_seconds=1.0
    )
    assert sum(len(batch["id"]) for batch in batches) == 8
    index = shards.Index.read(far)
    assert not index.lost().any()
    assert measurement.data_sha256(far) == index.sha256
    tf.io.gfile.remove(f"{far}/{index.shard[0]}")
    with pytest.raises(registry.UserError, match=f"{far}/train-00000-of-00001.tfrecord is missing"):
        shards.Index.read(far)
