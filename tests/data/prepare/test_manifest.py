"""The manifest: what a good one says, and one sentence for each way of writing a bad one."""

import unicodedata

import pytest

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import csv_manifest

HEADER = "id,split,label,audio,image"


def _write(tmp_path, *lines, header=HEADER):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_row_has_sound_or_an_image_or_both(tmp_path):
    path = _write(tmp_path, "a,train,x,a.wav,", "b,train,x,,/far/b.jpg", "c,val,y,c.wav,c.jpg")
    rows = csv_manifest.read(path)
    assert [(row.id, row.split, row.label) for row in rows] == [
        ("a", "train", "x"),
        ("b", "train", "x"),
        ("c", "val", "y"),
    ]
    assert [(row.audio, row.image) for row in rows] == [
        (str(tmp_path / "a.wav"), None),
        (None, "/far/b.jpg"),
        (str(tmp_path / "c.wav"), str(tmp_path / "c.jpg")),
    ]


def test_further_columns_pass_through_and_can_be_chosen(tmp_path):
    path = _write(tmp_path, "a,train,x,a.wav,,f,3", header=HEADER + ",gender,fold")
    assert csv_manifest.read(path)[0].extra == {"gender": "f", "fold": "3"}
    assert csv_manifest.read(path, columns=["fold"])[0].extra == {"fold": "3"}


def test_a_byte_order_mark_blank_lines_and_quotes_are_accepted(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b'\r\n\r\na,train,"x, y",a.wav,\r\n\r\n')
    assert csv_manifest.read(path)[0].label == "x, y"


def test_one_modality_needs_one_column_only(tmp_path):
    rows = csv_manifest.read(_write(tmp_path, "a,train,x,a.wav", header="id,split,label,audio"))
    assert rows[0].image is None


@pytest.mark.parametrize(
    ("header", "lines", "message"),
    [
        ("id,split,audio,image", ["a,train,a.wav,"], "no column 'label'.*'id,split,audio,image'"),
        ("id;split;label;audio", ["a;b;c;d"], "no column 'id'.*'id;split;label;audio'"),
        ("id,split,label", ["a,train,x"], "neither a column 'audio' nor a column 'image'"),
        (HEADER + ",audio", ["a,train,x,a,b,c"], "the column 'audio' twice"),
        (HEADER + ",offset", ["a,train,x,a,b,c"], "column 'offset', a name.*rename"),
        (HEADER, [], "has a header but no rows"),
        (HEADER, ["a,train,x,,"], r"line 2 \(id 'a'\) names no file: fill in audio or image"),
        (HEADER + ",num_frames", ["a,train,x,a,b,c"], "column 'num_frames', a name.*rename"),
        (HEADER, ["a,train,x,a.wav,", "a,val,y,b.wav,"], "line 3 repeats the id 'a' of line 2"),
        (HEADER, ["a,train,,a.wav,"], "line 2 has an empty 'label'"),
        (HEADER, ["a,,x,a.wav,"], "line 2 has an empty 'split'"),
        (HEADER, ["a,train,x,a.wav"], "line 2 has 4 cells and the header has 5"),
        (HEADER, ["a,train,x,a.wav,,"], "line 2 has 6 cells and the header has 5"),
        (HEADER, ["a,Train,x,a.wav,"], "line 2: the split 'Train' is .* looks for: write 'train'"),
        (HEADER, ["a,valid,x,a.wav,"], "line 2: the split 'valid' is .* looks for: write 'val'"),
        (HEADER, ["a b,train,x,a.wav,"], "line 2: the id 'a b' contains white space"),
        (
            HEADER,
            ["a,my/split,x,a.wav,"],
            "line 2: the split 'my/split' becomes part of file names",
        ),
    ],
)
def test_a_bad_manifest_is_answered_with_one_sentence(tmp_path, header, lines, message):
    with pytest.raises(registry.UserError, match=r"mine\.csv.*" + message):
        csv_manifest.read(_write(tmp_path, *lines, header=header))


def test_a_column_that_is_not_there_cannot_be_chosen(tmp_path):
    path = _write(tmp_path, "a,train,x,a.wav,,f", header=HEADER + ",gender")
    with pytest.raises(registry.UserError, match="unknown column 'sex' in --columns.*has gender"):
        csv_manifest.read(path, columns=["sex"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b'{"id": "a", "split": "train"}', "is JSON and no CSV"),
        (b'[\n {"id": "a"},\n {"id": "b"}\n]\n', "is JSON and no CSV"),
        (b"<!DOCTYPE html><html></html>", "is HTML or XML and no CSV"),
        ("id,split,label,audio\na,train,Zo\xeb,a.wav\n".encode("latin-1"), "is not UTF-8"),
        (b'id,split,label,audio\na,train,"x"y,a.wav\n', "cannot be read as CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_answered_with_one_sentence(tmp_path, content, message):
    path = tmp_path / "mine.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(registry.UserError, match=r"mine\.csv " + message):
        csv_manifest.read(path)


def test_videos_and_further_modalities_have_columns_of_their_own(tmp_path):
    header = "id,split,label,video,flow,depth,fold"
    lines = ["a,train,x,a.mp4,,,1", "b,train,x,,b.jpg,/far/b,2", "c,val,x,c.mp4,c,c.png,3"]
    rows = csv_manifest.read(_write(tmp_path, *lines, header=header), modalities=["flow", "depth"])
    here = str(tmp_path)
    assert [(row.video, dict(row.further)) for row in rows] == [
        (f"{here}/a.mp4", {}),
        (None, {"flow": (f"{here}/b.jpg",), "depth": ("/far/b",)}),
        (f"{here}/c.mp4", {"flow": (f"{here}/c",), "depth": (f"{here}/c.png",)}),
    ]
    assert [row.extra for row in rows] == [{"fold": "1"}, {"fold": "2"}, {"fold": "3"}]
    assert rows[2].paths == [f"{here}/c.mp4", f"{here}/c", f"{here}/c.png"]


def test_a_picture_column_that_is_not_named_passes_through(tmp_path):
    rows = csv_manifest.read(_write(tmp_path, "a,train,x,a.wav,,f.jpg", header=HEADER + ",flow"))
    assert rows[0].further == {} and rows[0].extra == {"flow": "f.jpg"}


def test_one_image_and_several_are_pictures_alike():
    assert manifest.Row("a", "train", "x", image="a.jpg").pictures == {"image": ("a.jpg",)}
    row = manifest.Row("a", "train", "x", image=("1.jpg", "2.jpg"), further={"flow": ("f.jpg",)})
    assert row.pictures == {"image": ("1.jpg", "2.jpg"), "flow": ("f.jpg",)}
    assert manifest.Row("a", "train", "x", audio="a.wav").pictures == {}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["flow", "depth"], "--modalities=flow,depth: .*mine.csv has no column 'depth'"),
        (["image"], "--modalities=image: 'image' cannot be the name"),
        (["label"], "--modalities=label: 'label' cannot be the name"),
        (["Optical Flow"], "'Optical Flow' cannot be the name.*small letters"),
    ],
)
def test_a_modality_that_cannot_be_is_answered_with_one_sentence(tmp_path, names, message):
    path = _write(tmp_path, "a,train,x,a.wav,,f.jpg", header=HEADER + ",flow")
    with pytest.raises(registry.UserError, match=message):
        csv_manifest.read(path, modalities=names)


@pytest.mark.parametrize(("written", "kept"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_a_file_is_found_in_either_spelling_of_its_accents(tmp_path, written, kept):
    name = "é/Zoë.wav"
    path = tmp_path / unicodedata.normalize(kept, name)
    path.parent.mkdir()
    path.touch()
    cell = unicodedata.normalize(written, name)
    (tmp_path / "m.csv").write_text(f"id,split,label,audio\nx,train,y,{cell}\n", encoding="utf-8")
    (row,) = csv_manifest.read(tmp_path / "m.csv")
    assert row.audio == str(path)


def test_a_file_that_is_in_neither_spelling_keeps_the_one_written(tmp_path):
    (tmp_path / "m.csv").write_text("id,split,label,audio\nx,train,y,é.wav\n", encoding="utf-8")
    (row,) = csv_manifest.read(tmp_path / "m.csv")
    assert row.audio == str(tmp_path / "é.wav")
