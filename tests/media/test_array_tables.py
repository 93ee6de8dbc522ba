"""Tables of vectors: each form says the same, and what is none is a sentence."""

import pathlib
import pickle
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from tfav.data import kinds
from tfav.media import array_tables, bad_file, limits

VECTORS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
IDS = ["ada/1", "bo/1"]


def _npz(folder):
    np.savez(folder / "t.npz", id=IDS, vector=VECTORS, label=["ada", "bo"])
    return folder / "t.npz"


def _embedded(folder):
    arrays = {"audio_id": IDS, "audio": VECTORS, "image_id": ["x"], "image": VECTORS[:1]}
    np.savez(folder / "e.npz", embedding_space=np.array("abc"), **arrays)
    return folder / "e.npz"


def _record(payload):
    """Returns a file of one TFRecord."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "one")
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(payload)
        return path.read_bytes()


def _tfrecord(folder):
    path = folder / "t.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, vector in zip(IDS, VECTORS):
            example = tf.train.Example()
            feature = example.features.feature
            feature["id"].bytes_list.value.append(name.encode())
            feature["label"].bytes_list.value.append(name[:-2].encode())
            feature["vector"].float_list.value.extend(vector)
            writer.write(example.SerializeToString())
    return path


@pytest.mark.parametrize("write", [_npz, _embedded, _tfrecord])
def test_a_row_of_a_table_is_an_array_wherever_a_file_may_be(write, tmp_path):
    path = write(tmp_path)
    table = array_tables.read(path, "audio")
    assert list(table.place) == IDS
    np.testing.assert_array_equal(table.values, VECTORS)
    if write is not _embedded:
        assert table.columns == {"label": ["ada", "bo"]}
    place = array_tables.name_row(path, "audio", "bo/1")
    assert array_tables.split(place) == (str(path), "audio", "bo/1")
    spec = kinds.ARRAY.item("x", {"size": 3, "sequence": False})
    np.testing.assert_array_equal(kinds.ARRAY.load(place, spec, limits.DEFAULT), [4.0, 5.0, 6.0])


def test_a_csv_of_features_ends_each_row_with_its_label(tmp_path):
    (tmp_path / "voiceTrain.csv").write_text("1,2.5,7.0\n3,4,8.0\n\n5,6,ada\n")
    table = array_tables.read(tmp_path / "voiceTrain.csv")
    assert list(table.place) == ["voiceTrain/0", "voiceTrain/1", "voiceTrain/2"]
    np.testing.assert_array_equal(table.values, [[1, 2.5], [3, 4], [5, 6]])
    assert table.columns["label"] == ["7", "8", "ada"]


def test_a_table_of_sequences_says_how_many_steps_count(tmp_path):
    values = np.arange(12.0).reshape(2, 3, 2)
    np.savez(tmp_path / "s.npz", id=["a", "b"], vector=values, steps=[1, 3])
    table = array_tables.read(tmp_path / "s.npz")
    np.testing.assert_array_equal(table.row("a"), [[0.0, 1.0]])
    assert table.row("b").shape == (3, 2)


def test_a_path_that_is_no_row_of_a_table_is_a_file():
    for path in ("a.npy", "my#file.npy", "a.npz"):
        assert array_tables.split(path) == (path, "", "")
    assert array_tables.split("a.npz@audio") == ("a.npz", "audio", "")
    assert array_tables.split("a.npz#x#y") == ("a.npz", "", "x#y")


BAD = {
    "twice.npz": ({"id": ["a", "a"], "vector": VECTORS}, "holds the id 'a' twice"),
    "short.npz": ({"id": ["a"], "vector": VECTORS}, "1 different ids and 2 vectors: give one"),
    "label.npz": (
        {"id": IDS, "vector": VECTORS, "split": ["train"] * 2, "label": ["x"]},
        "2 different ids and 1 cells of the column 'label': give one of each per id",
    ),
    "flat.npz": ({"id": IDS, "vector": VECTORS[:, 0]}, r"float32 \[2\]: give real numbers"),
    "other.npz": ({"x": VECTORS}, r"holds x: give the arrays id \[N\] and vector \[N, D\]"),
    "two.npz": ({"audio_id": IDS, "audio": VECTORS, "b_id": IDS, "b": VECTORS}, "or name one of"),
    "steps.npz": (
        {"id": IDS, "vector": VECTORS[:, None], "steps": [0, 1]},
        "no count from 1 to T",
    ),
    "labels.npz": (
        {"id": IDS, "vector": VECTORS, "label": [["a"], ["b"]]},
        r"holds a label of the shape \[2, 1\]: give one per id, \[N\]",
    ),
    "ids.npz": (
        {"id": [[name] for name in IDS], "vector": VECTORS},
        r"holds an array id of the shape \[2, 1\]: give one per vector",
    ),
    "word.npz": ({"id": "ab", "vector": VECTORS}, r"holds an array id of the shape \[\]"),
    "bytes.npz": ({"id": [b"\xff", b"a"], "vector": VECTORS}, "array id that is no text in UTF-8"),
    "taken.npz": (
        {"audio": VECTORS, "audio_id": VECTORS},
        r"holds an array audio_id of the shape \[2, 3\]: give one per vector",
    ),
    "spaces.npz": (
        {"id": IDS, "vector": VECTORS, "embedding_space": ["a", "b"]},
        "has an embedding_space of <U1: give one text, or none",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_arrays_that_are_no_table_are_told_in_a_sentence(name, tmp_path):
    arrays, message = BAD[name]
    np.savez(tmp_path / name, **arrays)
    with pytest.raises(bad_file.BadFile, match=message):
        array_tables.read(tmp_path / name)


def test_labels_of_records_may_be_numbers_and_ids_bytes(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "n.tfrecord")) as writer:
        for name, vector in zip(IDS, VECTORS):
            features = {
                "id": tf.train.Feature(bytes_list={"value": [name.encode()]}),
                "vector": tf.train.Feature(float_list={"value": vector.tolist()}),
                "label": tf.train.Feature(int64_list={"value": [7]}),
                "size": tf.train.Feature(int64_list={"value": [7, 8]}),
            }
            writer.write(tf.train.Example(features={"feature": features}).SerializeToString())
    assert array_tables.read(tmp_path / "n.tfrecord").columns == {"label": ["7", "7"]}
    np.savez(tmp_path / "b.npz", id=["é".encode(), b"a"], vector=VECTORS, age=[0.1, 2])
    table = array_tables.read(tmp_path / "b.npz")
    assert list(table.place) == ["é", "a"] and table.columns == {"age": ["0.1", "2.0"]}


def test_arrays_that_are_no_columns_are_told_of(tmp_path, caplog):
    more = {"image_id": IDS, "pixels": np.zeros([2, 4]), "rate": np.array(3)}
    np.savez(tmp_path / "t.npz", id=IDS, vector=VECTORS, **more)
    table = array_tables.read(tmp_path / "t.npz")
    assert table.columns == {"image_id": IDS}
    said = [r.getMessage() for r in caplog.records]
    assert ["'pixels'" in said[0], "'rate'" in said[1], len(said)] == [True, True, 2]
    assert array_tables.modalities(tmp_path / "t.npz") == []  # a column, and no ids


def test_nothing_is_unpickled_and_the_sentence_says_how_to_convert(tmp_path):
    (tmp_path / "d.pkl").write_bytes(pickle.dumps({"a": VECTORS[0]}))
    np.savez(tmp_path / "d.npz", id=IDS, vector=np.array([{"a": 1}, {}], object))
    for name in ("d.pkl", "d.npz"):
        with pytest.raises(bad_file.BadFile, match=r"numpy.savez\('table.npz'"):
            array_tables.read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.npz", b"PK", "is no whole .npz"),
        ("cut.tfrecord", b"abcd" * 9, "is no whole file of TFRecords"),
        ("other.tfrecord", _record(b"junk"), "is no whole file of TFRecords"),
        ("long.csv", b"1,2," + b"9" * 200_000, "a cell in row 0 that is no number .field larger"),
        ("words.csv", b"id,vector\n", "a cell in row 0 that is no number"),
        ("uneven.csv", b"1,2,a\n1,a\n", "rows of several lengths"),
        ("x.mat", b"abc", "is no table of vectors: give one of .npz, .tfrecord, .csv"),
    ],
)
def test_what_is_no_table_is_a_bad_file(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(bad_file.BadFile, match=message):
        array_tables.read(tmp_path / name)
    with pytest.raises(bad_file.BadFile, match="does not exist"):
        array_tables.read(tmp_path / "none.npz")


def test_an_id_that_a_table_lacks_is_named(tmp_path):
    with pytest.raises(bad_file.BadFile, match="has no row 'cy/1' among its 2"):
        array_tables.read(_npz(tmp_path)).row("cy/1")
