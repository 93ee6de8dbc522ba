"""Two folders in which folders are people: a manifest, or the sentence that says what is wrong."""

import csv
import io

import pytest

from tfav import registry
from tfav.data.prepare import two_folders
from tfav.media import formats

PEOPLE = [f"p{k}" for k in range(10)]


def fill(root, people, *names):
    for person in people:
        (root / person / "deep").mkdir(parents=True)
        for name in names:
            (root / person / name).touch()
    return str(root)


@pytest.fixture
def roots(tmp_path):
    return {
        "audio": fill(tmp_path / "voices", PEOPLE, "a b.wav", "deep/c.flac", ".hidden.wav"),
        "image": fill(tmp_path / "faces", PEOPLE, "x.jpg", "notes.txt"),
    }


def test_every_file_is_a_row_and_every_person_is_in_one_split(roots):
    found = two_folders.find(roots)
    rows = list(csv.DictReader(io.StringIO(two_folders.manifest(found, roots))))
    assert len(rows) == 30 and len({row["id"] for row in rows}) == 30
    # 15 % of ten people, and no fewer than two.
    assert [found.count(split) for split in ("train", "val", "test")] == [6, 2, 2]
    assert {(row["label"], row["split"]) for row in rows} == set(found.split.items())
    first = next(row for row in rows if row["id"] == "audio/p0/a%20b.wav")
    assert first["audio"] == f"{roots['audio']}/p0/a b.wav" and first["image"] == ""
    assert two_folders.find(roots, seed=0).split == found.split
    assert two_folders.find(roots, seed=1).split != found.split


@pytest.mark.parametrize(
    ("name", "label"),
    [("Ada King", "Ada King"), (" ada", "%20ada"), ("a\tb", "a%09b"), ("a%09b", "a%2509b")],
)
def test_a_name_stays_as_people_write_it_unless_its_blanks_are_odd(tmp_path, name, label):
    roots = {
        "audio": fill(tmp_path / "voices", [*PEOPLE, name], "a.wav"),
        "image": fill(tmp_path / "faces", [*PEOPLE, name], "x.jpg"),
    }
    found = two_folders.find(roots)
    rows = list(csv.DictReader(io.StringIO(two_folders.manifest(found, roots))))
    (split,) = {row["split"] for row in rows if row["label"] == label}
    assert split == found.split[name] and not [row["id"] for row in rows if " " in row["id"]]


def test_people_of_one_folder_alone_are_left_out_and_told(roots, tmp_path):
    fill(tmp_path / "voices", ["zoe"], "a.wav")
    found = two_folders.find(roots)
    assert found.alone == {"audio": ["zoe"], "image": []} and "zoe" not in found.files


def test_what_is_of_no_person_or_no_audio_is_counted(roots, tmp_path, caplog):
    (tmp_path / "voices" / "stray.wav").touch()
    (tmp_path / "voices" / "p0" / "film.mp4").touch()
    found = two_folders.find(roots)
    assert len(found.files) == 10 and found.files["p0"]["audio"] == ["p0/a b.wav", "p0/deep/c.flac"]
    voices, faces = [record.getMessage() for record in caplog.records]
    assert f"--audio={roots['audio']}: 12 files left out (10 hidden, " in voices
    assert "1 .wav" in voices and "1 .mp4" in voices and "10 .txt" in faces


def test_a_link_back_to_the_folder_adds_no_file(roots, tmp_path):
    before = two_folders.find(roots)
    (tmp_path / "voices" / "p0" / "again").symlink_to(tmp_path / "voices")
    assert two_folders.find(roots) == before


def test_a_folder_that_cannot_be_read_is_named(roots, monkeypatch):
    def walk(top, followlinks, onerror):
        onerror(PermissionError(13, "Permission denied", f"{top}/p3"))
        yield top, [], []

    monkeypatch.setattr(formats.os, "walk", walk)
    with pytest.raises(registry.UserError, match=r"voices/p3 cannot be read \(Permission denied\)"):
        two_folders.find(roots)


def wrong(tmp_path, roots, case):
    """Returns the two folders with one thing wrong."""
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "file").touch()
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / "a.wav").touch()
    return {
        "gone": {**roots, "audio": str(tmp_path / "none")},
        "file": {**roots, "image": str(tmp_path / "file")},
        "same": {**roots, "image": roots["audio"]},
        "empty": {**roots, "image": str(empty)},
        "loose": {**roots, "audio": str(loose)},
        "swapped": {"audio": roots["image"], "image": roots["audio"]},
        "strangers": {**roots, "image": fill(tmp_path / "others", ["ann", "bob"], "x.jpg")},
        "few": {**roots, "image": fill(tmp_path / "few", PEOPLE[:7], "x.jpg")},
    }[case]


SENTENCES = {
    "gone": "--audio=.*none does not exist: name a folder that holds one folder per person",
    "file": "--image=.*file is a file: name a folder",
    "same": "--audio and --image are one folder, .*voices: name one of voices and one of",
    "empty": "--image=.*empty holds no image file: name",
    "loose": "--audio=.*loose holds 1 audio files and no folder per person: put the files",
    "swapped": "--audio=.*faces holds 10 files and none of audio: is it the folder of --image",
    "strangers": r"no person .* --audio \(p0, p1, p2, ...\) and --image \(ann, bob, ...\): give",
    "few": r"7 people have voices and faces \(p0, p1, p2, ...\) and at least 8 are needed",
}


@pytest.mark.parametrize("case", SENTENCES)
def test_each_way_in_which_two_folders_are_wrong_is_a_sentence(tmp_path, roots, case):
    with pytest.raises(registry.UserError, match=SENTENCES[case]):
        two_folders.find(wrong(tmp_path, roots, case))
