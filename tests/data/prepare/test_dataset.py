"""Preparing: everything is decoded and written, or nothing is; what is left out is counted."""

import csv
import errno
import gzip
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from tests import clips
from tfav import files, registry
from tfav.commands import check_data
from tfav.data import shards
from tfav.data.prepare import dataset, manifest, sources, tally


def _voice(path, seconds=0.2, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.3 * np.sin(np.arange(int(seconds * rate)) / 9)
    soundfile.write(path, tone, rate, subtype="PCM_16")
    return str(path)


def _face(path, size=(24, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 150, 100)).save(path)
    return str(path)


def _people(tmp_path, train=4, val=3, test=3):
    """Two voices and two faces of every identity, as separate rows; ids like `v0/1.wav`."""
    rows = []
    for number in range(train + val + test):
        split = "train" if number < train else "val" if number < train + val else "test"
        extra = {"gender": "fm"[number % 2]}
        for k in range(2):
            name = f"v{number}/{k}.wav"
            voice = _voice(tmp_path / "wav" / name, 0.2 + 0.01 * number)
            rows.append(manifest.Row(name, split, f"p{number}", audio=voice, extra=extra))
        for k in range(2):
            name = f"f{number}/{k}.jpg"
            face = _face(tmp_path / "faces" / name)
            rows.append(manifest.Row(name, split, f"p{number}", image=face, extra=extra))
    return rows


def _settings(tmp_path, **options):
    return dataset.Settings(output=str(tmp_path / "out" / "set"), **options)


def _files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _bad(tmp_path):
    with open(tmp_path / "out" / "set" / "bad_rows.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_become_shards_index_lists_and_reports(tmp_path):
    report = dataset.prepare(_people(tmp_path), _settings(tmp_path, source="test"))
    folder = tmp_path / "out" / "set"
    index = shards.Index.read(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "bad_rows.csv",
        "dataset.json",
        "index.csv",
        "lists",
        "report.json",
        "test-00000-of-00001.tfrecord",
        "train-00000-of-00001.tfrecord",
        "val-00000-of-00001.tfrecord",
    ]
    assert len(index) == 40 and index.info["source"] == "test"
    assert index.labels("train") == ["p0", "p1", "p2", "p3"]
    assert list(index.extra["gender"][:5]) == list("ffffm")
    assert report["splits"]["train"] == {
        "rows": 16,
        "identities": 4,
        "audio": 8,
        "hours": round(2 * (0.20 + 0.21 + 0.22 + 0.23) / 3600, 4),
        "image": 8,
    }
    assert json.loads((folder / "report.json").read_text()) == report
    assert (folder / "bad_rows.csv").read_text() == "id,column,file,reason\n"
    lists = json.loads((folder / "lists" / "lists.json").read_text())
    assert lists["match_v2f_2_val.txt"]["origin"] == "seeded"
    assert {name.split("_")[-1] for name in lists} == {"val.txt", "test.txt"}
    assert set(lists) == {path.name for path in (folder / "lists").iterdir()} - {"lists.json"}


def test_records_hold_the_samples_and_the_jpeg(tmp_path):
    rows = [
        manifest.Row("a", "train", "x", audio=_voice(tmp_path / "a.wav")),
        manifest.Row("b", "train", "x", image=_face(tmp_path / "b.jpg")),
    ]
    dataset.prepare(rows, _settings(tmp_path))
    first, second = tf.data.TFRecordDataset(str(tmp_path / "out/set/train-00000-of-00001.tfrecord"))
    audio = tf.train.Example.FromString(first.numpy()).features.feature["audio"].bytes_list.value[0]
    image = (
        tf.train.Example.FromString(second.numpy()).features.feature["image"].bytes_list.value[0]
    )
    expected, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    np.testing.assert_array_equal(np.frombuffer(audio, "<i2"), expected)
    assert image == (tmp_path / "b.jpg").read_bytes()


def test_the_channel_of_a_row_is_respected(tmp_path):
    stereo = np.stack([np.full(3200, 0.5), np.zeros(3200)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 16_000, subtype="PCM_16")
    path = str(tmp_path / "a.wav")
    rows = [
        manifest.Row("mean", "train", "x", audio=path),
        manifest.Row("left", "train", "x", audio=path, channel="left"),
    ]
    dataset.prepare(rows, _settings(tmp_path))
    peaks = []
    for item in tf.data.TFRecordDataset(str(tmp_path / "out/set/train-00000-of-00001.tfrecord")):
        feature = tf.train.Example.FromString(item.numpy()).features.feature["audio"]
        peaks.append(np.frombuffer(feature.bytes_list.value[0], "<i2").max())
    assert peaks == [8192, 16384]  # 0.25 and 0.5 of 32768


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = _people(tmp_path)
    rows.append(manifest.Row("gone", "train", "p0", audio=str(tmp_path / "gone.wav")))
    for name in ("one", "two"):
        settings = dataset.Settings(str(tmp_path / name), max_bad_fraction=0.1, shards=2)
        dataset.prepare(rows, settings)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_rows_are_grouped_by_split_and_keep_their_order(tmp_path):
    face = _face(tmp_path / "x.jpg")
    rows = [manifest.Row(f"{s}{i}", s, "p", image=face) for i in range(3) for s in ("val", "train")]
    dataset.prepare(rows, _settings(tmp_path))
    index = shards.Index.read(tmp_path / "out" / "set")
    assert list(index.id) == ["val0", "val1", "val2", "train0", "train1", "train2"]


def test_every_broken_file_is_skipped_and_listed_with_its_reason(tmp_path):
    rows = _people(tmp_path)
    bad = tmp_path / "bad"
    bad.mkdir()
    soundfile.write(bad / "silent.wav", np.zeros(8000), 16_000)
    soundfile.write(bad / "nan.wav", np.full(8000, np.nan), 16_000, subtype="FLOAT")
    soundfile.write(bad / "short.wav", np.ones(100), 16_000)
    (bad / "empty.wav").touch()
    _face(bad / "dot.png", size=(1, 1))
    Image.effect_noise((99, 99), 50).convert("RGB").save(bad / "cut.jpg")
    (bad / "cut.jpg").write_bytes((bad / "cut.jpg").read_bytes()[:2000])
    for name in ("silent.wav", "nan.wav", "short.wav", "empty.wav", "missing.wav"):
        rows.append(manifest.Row(name, "train", "p0", audio=str(bad / name), extra={"gender": "f"}))
    for name in ("dot.png", "cut.jpg"):
        rows.append(manifest.Row(name, "train", "p0", image=str(bad / name), extra={"gender": "f"}))
    report = dataset.prepare(rows, _settings(tmp_path, max_bad_fraction=0.2))
    found = {row["id"]: row for row in _bad(tmp_path)}
    assert {name: row["column"] for name, row in found.items()} == {
        "silent.wav": "audio",
        "nan.wav": "audio",
        "short.wav": "audio",
        "empty.wav": "audio",
        "missing.wav": "audio",
        "dot.png": "image",
        "cut.jpg": "image",
    }
    assert found["cut.jpg"]["file"] == str(bad / "cut.jpg")
    assert "cut short" in found["cut.jpg"]["reason"] and "silent" in found["silent.wav"]["reason"]
    assert report["bad_rows"] == 7 and report["splits"]["train"]["rows"] == 16
    assert not set(found) & set(shards.Index.read(tmp_path / "out" / "set").id)


def test_a_row_goes_when_one_of_its_two_files_is_broken(tmp_path):
    rows = [
        manifest.Row(f"r{i}", "train", "x", audio=_voice(tmp_path / "a.wav"), image=image)
        for i, image in enumerate([_face(tmp_path / "a.jpg"), str(tmp_path / "none.jpg")])
    ]
    dataset.prepare(rows, _settings(tmp_path, max_bad_fraction=0.5))
    assert list(shards.Index.read(tmp_path / "out" / "set").id) == ["r0"]
    assert _bad(tmp_path)[0]["column"] == "image"


def test_too_many_broken_files_name_the_first_and_leave_nothing(tmp_path):
    rows = _people(tmp_path)
    (tmp_path / "wav/v0/1.wav").write_bytes(b"")
    (tmp_path / "faces/f3/0.jpg").unlink()
    with pytest.raises(registry.UserError) as caught:  # 2 of 40 rows, and 0.03 allows 1
        dataset.prepare(rows, _settings(tmp_path, max_bad_fraction=0.03))
    for part in ("2 of the first 15 of 40 rows", "v0/1.wav is empty", "--max_bad_fraction=0.03"):
        assert part in str(caught.value)
    assert os.listdir(tmp_path / "out") == []


def test_exactly_the_allowed_fraction_passes(tmp_path):
    rows = _people(tmp_path)
    (tmp_path / "wav/v0/1.wav").write_bytes(b"")
    report = dataset.prepare(rows, _settings(tmp_path, max_bad_fraction=1 / 40))
    assert report["bad_rows"] == 1


def test_no_usable_row_at_all_is_an_error_whatever_is_allowed(tmp_path):
    rows = [manifest.Row("a", "train", "x", audio=str(tmp_path / "a.wav"))]
    with pytest.raises(registry.UserError, match=r"1 of 1 rows.*a\.wav does not exist"):
        dataset.prepare(rows, _settings(tmp_path, max_bad_fraction=1.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_bad_fraction": 1.5}, "--max_bad_fraction=1.5 is no fraction"),
        ({"max_image_side": 4}, "--max_image_side=4: give at least 16"),
        ({"num_frames": 0}, "--num_frames=0: give at least 1"),
        ({"fps": float("nan")}, "--fps=nan: give at least 0"),
        ({"shards": -1}, "--shards=-1: give at least 0"),
        ({"lists": "/no/where"}, "/no/where is no folder"),
        ({"shards": 100_000}, "--shards=100000: no split has more than . rows: give no more"),
        ({"beam_options": ["--parallelism=8"]}, "--beam_options=--parallelism=8 means nothing wit"),
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path, options, message):
    with pytest.raises(registry.UserError, match=message):
        dataset.prepare(_people(tmp_path, 1, 0, 0), _settings(tmp_path, **options))


def test_no_rows_duplicate_ids_and_remote_outputs_are_refused(tmp_path):
    row = manifest.Row("a", "train", "x", image=_face(tmp_path / "a.jpg"))
    for rows, output, message in (
        ([], "here", "lists no rows"),
        ("text", "here", "the source 'manifest' lists a str: let it return a list of"),
        ([row, 3], "here", "the source 'manifest' lists a int: let it return a list of"),
        ([row, row], "here", "the id 'a' is given twice"),
        ([row], "gs://bucket/set", "not a local folder"),
    ):
        with pytest.raises(registry.UserError, match=message):
            dataset.prepare(rows, dataset.Settings(output=output))


# Old data sets and full disks -------------------------------------------------------------------


def test_an_existing_data_set_is_kept_unless_overwriting_succeeds(tmp_path):
    rows = _people(tmp_path, 2, 2, 2)
    dataset.prepare(rows, _settings(tmp_path))
    before = _files(tmp_path / "out" / "set")
    with pytest.raises(registry.UserError, match="set exists.*--overwrite"):
        dataset.prepare(rows, _settings(tmp_path))
    broken = [*rows, manifest.Row("gone", "test", "p0", audio="/no/where.wav")]
    with pytest.raises(registry.UserError, match="/no/where.wav does not exist"):
        dataset.prepare(broken, _settings(tmp_path, overwrite=True))
    assert _files(tmp_path / "out" / "set") == before
    dataset.prepare(rows[:8], _settings(tmp_path, overwrite=True))
    assert len(shards.Index.read(tmp_path / "out" / "set")) == 8
    assert os.listdir(tmp_path / "out") == ["set"]


def test_overwrite_deletes_only_what_prepare_made(tmp_path):
    rows = _people(tmp_path, 2, 0, 0)
    (tmp_path / "out" / "set").mkdir(parents=True)
    dataset.prepare(rows, _settings(tmp_path))  # an empty folder is as good as none
    (tmp_path / "out" / "set" / "lists").mkdir(exist_ok=True)
    inside = _face(tmp_path / "out" / "set" / "._mine.jpg")
    with pytest.raises(registry.UserError, match="holds .*mine.jpg, which is to be read"):
        dataset.prepare(
            [manifest.Row("a", "train", "x", image=inside)], _settings(tmp_path, overwrite=True)
        )
    for name in (".git", "notes.tfrecord", "lists/match_v2f_2_mine.txt"):
        mine = tmp_path / "out" / "set" / name
        mine.write_text("mine")
        with pytest.raises(registry.UserError, match=f"set holds {name}, which prepare has not"):
            dataset.prepare(rows, _settings(tmp_path, overwrite=True))
        mine.unlink()
    (tmp_path / "out" / "set" / "run").mkdir()
    with pytest.raises(
        registry.UserError, match="set holds run, which prepare has not written, so"
    ):
        dataset.prepare(rows, _settings(tmp_path, overwrite=True))
    (tmp_path / "out" / "set" / "dataset.json").unlink()
    with pytest.raises(registry.UserError, match="is no prepared data set"):
        dataset.prepare(rows, _settings(tmp_path, overwrite=True))
    assert os.path.exists(inside) and (tmp_path / "out" / "set" / "run").exists()


def _full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device", "x")


@pytest.mark.parametrize("where", ["shard", "report"])
def test_a_full_disk_is_one_sentence_and_leaves_the_old_data_set(tmp_path, monkeypatch, where):
    rows = _people(tmp_path, 2, 2, 2)
    dataset.prepare(rows, _settings(tmp_path))
    before = _files(tmp_path / "out" / "set")
    if where == "shard":  # the kernel's own full device, through TensorFlow's writer
        writer = tf.io.TFRecordWriter
        monkeypatch.setattr(tf.io, "TFRecordWriter", lambda path: writer("/dev/full"))
    else:
        monkeypatch.setattr(tally.Tally, "write_bad_rows", _full)
    with pytest.raises(registry.UserError, match="the disk is full: .*set was not written"):
        dataset.prepare(rows, _settings(tmp_path, overwrite=True))
    assert _files(tmp_path / "out" / "set") == before
    assert os.listdir(tmp_path / "out") == ["set"]


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shards.Writer, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dataset.prepare(_people(tmp_path, 1, 0, 0), _settings(tmp_path))
    assert os.listdir(tmp_path / "out") == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(registry.UserError, match="cannot be written.*choose another --output"):
        dataset.prepare(_people(tmp_path, 1, 0, 0), _settings(tmp_path))


# Query lists --------------------------------------------------------------------------------------


def _give(tmp_path, **lists):
    (tmp_path / "lists").mkdir()
    for name, text in lists.items():
        (tmp_path / "lists" / f"{name}.txt").write_text(text)
    return str(tmp_path / "lists")


def test_given_lists_may_be_packed_but_are_kept_unpacked(tmp_path):
    text = b"v7/0.wav\nf7/0.jpg f8/0.jpg\n"
    (tmp_path / "lists").mkdir()
    packed = tmp_path / "lists" / "reterival_v2f_test.txt.gz"
    packed.write_bytes(gzip.compress(text))
    dataset.prepare(_people(tmp_path), _settings(tmp_path, lists=str(packed.parent)))
    folder = tmp_path / "out" / "set" / "lists"
    assert (folder / "retrieval_v2f_test.txt").read_bytes() == text
    made = json.loads((folder / "lists.json").read_text())["retrieval_v2f_test.txt"]
    assert made["sha256"] == hashlib.sha256(text).hexdigest() == files.sha256(packed)


def test_what_a_given_list_names_never_trains(tmp_path):
    lists = _give(tmp_path, match_v2f_2_seen="v0/1.wav f0/1.jpg f1/0.jpg\n")
    report = dataset.prepare(_people(tmp_path), _settings(tmp_path, lists=lists))
    index = shards.Index.read(tmp_path / "out" / "set")
    assert report["splits"]["heldout"]["rows"] == 3
    # The held-out items share their people with the training split by design: nothing to report.
    assert report["one_modality"] == report["identities_in_two_splits"] == {}
    assert list(index.select("heldout").id) == ["v0/1.wav", "f0/1.jpg", "f1/0.jpg"]
    assert list(index.info["splits"]) == ["train", "val", "test", "heldout"]
    assert len(index.select("train")) == 13
    assert index.labels("train") == ["p0", "p1", "p2", "p3"]


def test_given_lists_are_kept_byte_for_byte_and_val_matching_is_filled_in(tmp_path):
    given = {
        "reterival_v2f_test": "v7/0.wav\nf7/0.jpg f8/0.jpg",
        "match_v2f_2_val": "v4/0.wav f4/0.jpg f5/0.jpg",
    }
    report = dataset.prepare(_people(tmp_path), _settings(tmp_path, lists=_give(tmp_path, **given)))
    folder = tmp_path / "out" / "set" / "lists"
    made = json.loads((folder / "lists.json").read_text())
    assert {name: entry["origin"] for name, entry in made.items()} == {
        "match_v2f_2_val.txt": "given",
        "retrieval_v2f_test.txt": "given",
        "match_f2v_2_val.txt": "seeded",
    }
    assert (folder / "retrieval_v2f_test.txt").read_text() == given["reterival_v2f_test"]
    assert (folder / "match_v2f_2_val.txt").read_text() == given["match_v2f_2_val"]
    assert report["lists"] == {"given": 2, "seeded": 1}


def test_list_items_that_are_not_in_the_data_are_counted_or_refused(tmp_path):
    rows = _people(tmp_path)
    lists = _give(
        tmp_path, verify_v2f_test="v7/0.wav f7/0.jpg\nv8/0.wav a.jpg\nb.wav c.jpg\nb.wav d.jpg\n"
    )
    with pytest.raises(registry.UserError) as caught:
        dataset.prepare(rows, _settings(tmp_path, lists=lists))
    # v7/0.wav f7/0.jpg v8/0.wav a.jpg b.wav c.jpg d.jpg: seven items, four of them unknown.
    for part in ("4 of 7 items", "first: b.wav, a.jpg, c.jpg)", "--max_bad_fraction=0.01"):
        assert part in str(caught.value)
    report = dataset.prepare(rows, _settings(tmp_path, lists=lists, max_bad_fraction=0.6))
    assert report["missing_list_items"] == {"count": 4, "first": ["b.wav", "a.jpg", "c.jpg"]}
    made = json.loads((tmp_path / "out/set/lists/lists.json").read_text())
    assert made["verify_v2f_test.txt"]["missing_items"] == 4


def test_a_list_item_whose_file_is_broken_counts_as_missing(tmp_path):
    rows = _people(tmp_path)
    (tmp_path / "wav/v7/0.wav").write_bytes(b"")
    lists = _give(tmp_path, verify_v2f_test="v7/0.wav f7/0.jpg\n")
    with pytest.raises(registry.UserError, match=r"1 of 2 items.*v7/0\.wav"):
        dataset.prepare(rows, _settings(tmp_path, lists=lists, max_bad_fraction=0.1))
    assert os.listdir(tmp_path / "out") == []


# Reports ------------------------------------------------------------------------------------------


def test_identities_with_one_modality_and_in_two_splits_are_reported(tmp_path):
    rows = _people(tmp_path)
    rows = [row for row in rows if not (row.label == "p1" and row.audio)]
    face = {"image": _face(tmp_path / "x.jpg"), "extra": {"gender": "f"}}
    rows.append(manifest.Row("x", "test", "p0", **face))
    report = dataset.prepare(rows, _settings(tmp_path))
    assert report["one_modality"] == {"image_only": {"count": 2, "first": ["train/p1", "test/p0"]}}
    assert report["identities_in_two_splits"] == {"train, test": 1}
    text = tally.summary(report)
    assert "identities with image only: 2 (first train/p1, test/p0)" in text
    leak = "labels in both train and test: 1"
    assert f"{leak} (right for classes, a leak if they are identities)" in text
    assert f"{leak} (a leak)" in tally.summary(report, sources.IDENTITIES)
    assert leak not in tally.summary(report, sources.CLASSES)


def test_the_same_file_under_two_labels_of_one_split_is_named(tmp_path):
    face = _face(tmp_path / "x.jpg")
    labels = {"a": "p0", "b": "p1", "c": "p0"}
    rows = [manifest.Row(name, "train", label, image=face) for name, label in labels.items()]
    rows.append(manifest.Row("d", "test", "p0", image=_face(tmp_path / "y.jpg", (30, 20))))
    report = dataset.prepare(rows, _settings(tmp_path))
    found = {"train": {"count": 1, "first": ["a (p0) = b (p1)"]}}
    assert report["contents_under_two_labels"] == found
    line = "rows of train with the same audio or image under two labels: 1 (first a (p0) = b (p1))"
    assert line in tally.summary(report)


def test_check_reports_everything_and_makes_no_data_set(tmp_path):
    rows = _people(tmp_path)
    rows.append(manifest.Row("hi", "train", "p0", audio=_voice(tmp_path / "hi.wav", rate=44_100)))
    for number in range(9):
        rows.append(manifest.Row(f"no{number}", "train", "p0", audio=f"/no/{number}.wav"))
    report = check_data.check(rows, _settings(tmp_path)).report
    made = sorted(os.listdir(tmp_path / "out"))
    assert made == ["set-bad_rows.csv", "set-check.html", "set-check.json"]
    assert json.loads((tmp_path / "out" / "set-check.json").read_text()) == report
    assert (tmp_path / "out" / "set-bad_rows.csv").read_text().count("does not exist") == 9
    assert report["audio_formats"] == {
        "16000 Hz, 1 channel, WAV PCM_16": 20,
        "44100 Hz, 1 channel, WAV PCM_16": 1,
    }
    assert report["seconds"] == {"min": 0.2, "median": 0.24, "max": 0.29}
    assert report["shorter_side"]["median"] == 20
    assert report["acceptable"] is False
    assert check_data.check(rows[:41], _settings(tmp_path)).report["acceptable"] is True


def _binary(*flags, python=()):
    command = [sys.executable, *python, "-m", "tfav.bin.prepare", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_help_answers_before_anything_heavy_is_imported():
    done = _binary("--help", python=["-X", "importtime"])
    assert "--max_bad_fraction" in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "absl" in imported
    assert not imported & {"tensorflow", "keras", "av", "cv2", "scipy"}


def test_a_users_mistake_is_printed_alone(tmp_path):
    done = _binary("--manifest=/no/where.csv", f"--output={tmp_path}/set")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: /no/where.csv does not exist: correct the path."
    assert "Traceback" not in done.stderr


def test_the_binary_prepares_a_manifest_and_prints_a_summary(tmp_path):
    _voice(tmp_path / "a.wav")
    (tmp_path / "mine.csv").write_text("id,split,label,audio\na,train,x,a.wav\n")
    done = _binary(f"--manifest={tmp_path}/mine.csv", f"--output={tmp_path}/set")
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout and f"written: {tmp_path}/set/" in done.stdout
    assert list(shards.Index.read(tmp_path / "set").id) == ["a"]


# Videos -------------------------------------------------------------------------------------------


def _clips(tmp_path, *names):
    """A row for each name; `mute` has no sound, `broken` is no video."""
    rows = []
    for number, name in enumerate(names):
        path = tmp_path / f"{name}.mov"
        clips.write(path, 6, 5, sound=None if name == "mute" else clips.chirp(1.2))
        if name == "broken":
            path.write_bytes(b"no video at all")
        split = "test" if number % 2 else "train"
        rows.append(manifest.Row(name, split, f"p{number // 2}", video=str(path)))
    return rows


def test_videos_become_sound_frames_and_derived_modalities(tmp_path):
    rows = _clips(tmp_path, "a", "b", "mute", "d")
    settings = _settings(tmp_path, num_frames=3, derive=("flow", "diff"), draw_lists=False)
    report = dataset.prepare(rows, settings)
    index = shards.Index.read(tmp_path / "out" / "set")
    assert list(index.id) == ["a", "mute", "b", "d"]
    assert {name: list(counts) for name, counts in index.frames.items()} == {
        "image": [3, 3, 3, 3],
        "flow": [3, 3, 3, 3],
        "diff": [3, 3, 3, 3],
    }
    assert list(index.num_samples) == [19_200, 0, 19_200, 19_200]
    assert report["splits"]["train"] == {
        "rows": 2,
        "identities": 2,
        "audio": 1,
        "hours": round(1.2 / 3600, 4),
        "image": 2,
        "flow": 2,
        "diff": 2,
    }
    assert report["videos_without"] == {"audio": {"count": 1, "first": ["mute"]}}
    assert report["frames"]["flow"] == {"min": 3, "median": 3, "max": 3}
    assert report["bad_rows"] == 0 and report["lists"] == {}
    assert not (tmp_path / "out" / "set" / "lists").exists()
    text = tally.summary(report)
    assert "videos without audio: 1 (first mute)" in text
    assert "frames of flow: 3 to 3, median 3" in text


def test_videos_give_the_same_bytes_again(tmp_path):
    rows = _clips(tmp_path, "a", "b", "c", "d")
    for name in ("one", "two"):
        dataset.prepare(rows, dataset.Settings(str(tmp_path / name), fps=4, derive=("flow",)))
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_a_broken_video_is_a_bad_row(tmp_path):
    rows = _clips(tmp_path, "a", "b", "c", "broken")
    report = dataset.prepare(rows, _settings(tmp_path, max_bad_fraction=0.25))
    assert report["bad_rows"] == 1
    bad = _bad(tmp_path)[0]
    assert bad["column"] == "video" and "not readable as a video" in bad["reason"]
    checked = check_data.check(rows, _settings(tmp_path)).report
    assert checked["audio_formats"] == {"16000 Hz, 2 channels, pcm_s16le": 3}
    assert checked["acceptable"] is False


def test_deriving_without_videos_or_what_nobody_can_draw_is_refused(tmp_path):
    face = manifest.Row("a", "train", "x", image=_face(tmp_path / "a.jpg"))
    with pytest.raises(registry.UserError, match="--derive=flow needs videos.*column 'video'"):
        dataset.prepare([face], _settings(tmp_path, derive=("flow",)))
    for derive in (("depth",), ("flow", "flow")):
        with pytest.raises(registry.UserError, match="name each once, of flow, diff"):
            dataset.prepare(_clips(tmp_path, "a"), _settings(tmp_path, derive=derive))


def test_the_output_may_not_hold_a_video_or_folder_that_is_to_be_read(tmp_path):
    dataset.prepare(_clips(tmp_path, "a"), _settings(tmp_path))
    inside = str(tmp_path / "out" / "set" / "x.mov")
    for row in (
        manifest.Row("a", "train", "x", video=inside),
        manifest.Row("a", "train", "x", further={"flow": (inside,)}),
    ):
        with pytest.raises(registry.UserError, match="x.mov, which is to be read"):
            dataset.prepare([row], _settings(tmp_path, overwrite=True))


def test_the_binary_takes_videos(tmp_path):
    _clips(tmp_path, "a", "mute")
    _face(tmp_path / "depth" / "1.png")
    lines = ["id,split,label,video,depth", "a,train,x,a.mov,depth", "b,train,x,mute.mov,"]
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    flags = (f"--manifest={tmp_path}/mine.csv", f"--output={tmp_path}/set", "--lists=none")
    done = _binary(*flags, "--fps=2.5", "--derive=diff", "--modalities=depth")
    assert done.returncode == 0, done.stderr
    index = shards.Index.read(tmp_path / "set")
    assert {name: list(counts) for name, counts in index.frames.items()} == {
        "image": [3, 3],  # 1.2 s
        "depth": [1, 0],
        "diff": [3, 3],
    }
    assert "videos without audio: 1 (first b)" in done.stdout
    done = _binary(*flags, "--fps=2.5", "--num_frames=4")
    assert done.returncode == 2 and "no --num_frames beside it" in done.stderr
