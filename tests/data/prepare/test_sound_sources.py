"""Sources of sounds and of videos without labels: ESC-50, acoustic scenes, Flickr-SoundNet."""

import collections
import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests import clips
from tests.data.prepare.test_layouts import changed, order, touch, write
from tfav import registry
from tfav.annotations import boxes
from tfav.data import shards
from tfav.data.prepare import dataset, manifest
from tfav.data.prepare.sources import (
    dcase2014,
    esc50,
    extended,
    flickr_soundnet,
    is3,
    vggss,
    videos,
)


def sound(path, seconds=0.2):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(round(seconds * 4000)) / 9), 4000)


# --- ESC-50

HEADER = "filename,fold,target,category,esc10,src_file,take"


@pytest.fixture
def esc(tmp_path):
    """Two classes of ESC-10 and one other, in three folds."""
    touch(tmp_path, "audio/1-7-A-4.wav")
    write(
        tmp_path / "meta" / "esc50.csv",
        HEADER,
        "1-7-A-4.wav,1,4,dog,True,7,A",
        "1-7-B-4.wav,1,4,dog,True,7,B",
        "2-8-A-4.wav,2,4,dog,True,8,A",
        "3-5-A-4.wav,3,4,dog,True,5,A",
        "2-9-A-0.wav,2,0,rooster,True,9,A",
        "3-6-A-2.wav,3,2,hen,False,6,A",
    )
    return manifest.Options(root=str(tmp_path))


def test_esc50_has_folds_and_one_of_them_is_the_test(esc, tmp_path):
    rows = esc50.rows(changed(esc, split_number=3))
    assert {row.id: row.split for row in rows} == {
        "2-9-A-0": "train",
        "1-7-A-4": "train",
        "1-7-B-4": "train",
        "2-8-A-4": "train",
        "3-5-A-4": "test",
        "3-6-A-2": "test",
    }
    assert order(rows) == ["rooster", "dog"]  # by target, not by appearance
    row = next(row for row in rows if row.id == "1-7-B-4")
    assert row.extra == {"fold": "1", "clip": "1-7-B-4", "recording": "7"}
    assert row.audio == str(tmp_path / "audio/1-7-B-4.wav") and row.image is None


def test_esc10_is_a_part_of_it(esc):
    rows = esc50.rows(changed(esc, subset="esc10"))
    assert {row.label for row in rows} == {"dog", "rooster"}
    with pytest.raises(registry.UserError, match="--subset=esc20"):
        esc50.rows(changed(esc, subset="esc20"))


def test_esc50_val_is_carved_by_recordings(esc):
    rows = esc50.rows(changed(esc, split_number=2, val_fraction=0.5))
    # Fold 2 is the test; of the dogs one of the recordings 5 and 7 (two clips), never a part of 7.
    held = {row.extra["recording"] for row in rows if row.split == "val"}
    assert len(held) == 1 and held <= {"5", "7"}
    assert not held & {row.extra["recording"] for row in rows if row.split == "train"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["filename,target,category,src_file", "a.wav,0,dog,7"], "no column 'fold'"),
        ([HEADER, "a.wav,,0,dog,True,7,A"], "line 2 is 'a.wav,,0,dog,True,7,A': give every cell"),
        ([HEADER, "a.wav,1,zero,dog,True,7,A"], "with numbers as fold and target"),
        ([HEADER, "../a.wav,1,0,dog,True,7,A"], "filename is '../a.wav'"),
        (
            [HEADER, "a.wav,1,0,dog,True,7,A", "b.wav,2,0,dog,True,7,B"],
            "lines 2 and 3: the recording 7 lies in the folds 1 and 2",
        ),
        ([HEADER, "a.wav,1,0,dog,True,7,A"], "has the folds 1 and --split_number=1"),
    ],
)
def test_a_table_that_cannot_serve_is_refused(esc, tmp_path, lines, message):
    path = write(tmp_path / "mine.csv", *lines)
    with pytest.raises(registry.UserError, match=message):
        esc50.rows(changed(esc, split_csv=[path]))


def test_the_real_esc10_bundle(real_data):
    root = real_data / "esc10"
    rows = esc50.rows(
        manifest.Options(root=str(root), split_csv=[str(root / "esc50_style.csv")], subset="esc10")
    )
    # Its README: 400 clips, ten classes, in five folds of 80.
    assert collections.Counter(row.extra["fold"] for row in rows) == dict.fromkeys("12345", 80)
    assert set(collections.Counter(row.label for row in rows).values()) == {40}
    assert all((root / "audio" / f"{row.id}.ogg").samefile(row.audio) for row in rows)


# --- Acoustic scenes


def test_scenes_are_split_as_published_and_cut_into_sixty_pieces(tmp_path):
    for name in ("scenes_stereo/bus01", "scenes_stereo/tubestation10"):
        sound(tmp_path / f"{name}.wav", seconds=30)
    sound(tmp_path / "scenes_stereo_testset" / "bus01.wav", seconds=30)
    rows = dcase2014.rows(manifest.Options(root=str(tmp_path)))
    counts = collections.Counter((row.split, row.label, row.extra["clip"]) for row in rows)
    assert counts == {
        ("train", "bus", "scenes_stereo/bus01"): 60,
        ("train", "tubestation", "scenes_stereo/tubestation10"): 60,
        ("test", "bus", "scenes_stereo_testset/bus01"): 60,
    }
    pieces = [row for row in rows if row.split == "test"]
    starts = [row.start_seconds for row in pieces]
    np.testing.assert_allclose(starts, np.linspace(0, 25, 60))
    assert {row.length_seconds for row in pieces} == {5.0}
    assert pieces[59].extra["start"] == "25.000"


def test_scenes_without_a_test_folder_are_halved_by_clips(tmp_path):
    names = [f"{scene}{number:02d}.wav" for scene in ("bus", "open_air") for number in range(1, 5)]
    touch(tmp_path, *names, "notes.txt", "readme.wav")
    options = manifest.Options(root=str(tmp_path), seed=1)
    rows = dcase2014.rows(options)  # empty files: one row each, which prepare will count as bad
    counts = collections.Counter((row.label, row.split) for row in rows)
    assert counts == {(x, s): 2 for x in ("bus", "open_air") for s in ("train", "test")}
    assert rows == dcase2014.rows(options)
    tests = {
        tuple(row.id for row in dcase2014.rows(changed(options, seed=s)) if row.split == "test")
        for s in range(6)
    }
    assert len(tests) > 1


def test_a_folder_without_scenes_is_named(tmp_path):
    touch(tmp_path, "bus01.wav")
    with pytest.raises(registry.UserError, match="holds no <scene>NN.wav of two scenes"):
        dcase2014.rows(manifest.Options(root=str(tmp_path)))


# --- Videos


@pytest.fixture
def folder(tmp_path):
    clips.write(tmp_path / "b.mov", 30, sound=clips.chirp(3.3))  # 3 s of picture
    (tmp_path / "deep down").mkdir()
    clips.write(tmp_path / "deep down" / "a 1%.MOV", 8, sound=clips.chirp(3))  # 0.8 s of picture
    clips.write(tmp_path / "mute.mov", 12)  # 1.2 s
    write(tmp_path / "broken.mp4", "not a video")
    touch(tmp_path, ".hidden.mp4", "b.txt")
    return manifest.Options(root=str(tmp_path), segment_seconds=1.2)


def test_videos_become_pieces_as_far_as_sound_and_picture_last(folder, tmp_path):
    rows = videos.rows(folder)
    assert [(row.id, row.label, row.start_seconds) for row in rows] == [
        ("b.mov@0", "b.mov", 0),
        ("b.mov@1.2", "b.mov", 1.2),
        ("b.mov@2.4", "b.mov", 2.4),  # 0.6 s are left
        ("broken.mp4@0", "broken.mp4", 0),
        ("deep%20down/a%201%25.MOV@0", "deep%20down/a%201%25.MOV", 0),
        ("mute.mov@0", "mute.mov", 0),
    ]
    assert rows[1].extra == {"video": "b.mov", "start": "1.2"}
    assert rows[4].video == str(tmp_path / "deep down" / "a 1%.MOV")
    # Pieces of 1.3 s: 0.4 s would be left after two, less than half a second.
    assert (
        len([r for r in videos.rows(changed(folder, segment_seconds=1.3)) if r.label == "b.mov"])
        == 2
    )


def test_their_pieces_are_whole_and_what_is_wrong_is_counted(folder, tmp_path):
    out = str(tmp_path / "out")
    settings = dataset.Settings(output=out, max_bad_fraction=0.2, draw_lists=False)
    report = dataset.prepare(videos.rows(folder), settings)
    index = shards.Index.read(out)
    seconds = dict(zip(index.id, index.num_samples / 16_000))
    assert seconds.pop("mute.mov@0") == 0
    assert set(seconds.values()) == {1.2} and len(seconds) == 4  # the last ones are padded
    assert set(index.frames["image"]) == {1}
    assert report["bad_rows"] == 1 and "broken.mp4" in (tmp_path / "out/bad_rows.csv").read_text()


def test_a_video_is_in_one_split(tmp_path):
    for number in range(10):
        touch(tmp_path, f"{number}.mp4")
    options = manifest.Options(root=str(tmp_path), test_fraction=0.3, val_fraction=0.3, seed=2)
    rows = videos.rows(options)
    # Three of ten, then a third of the seven others: round(2.1) = 2.
    assert collections.Counter(row.split for row in rows) == {"train": 5, "test": 3, "val": 2}
    assert videos.rows(options) == rows
    assert {
        row.split for row in videos.rows(changed(options, test_fraction=0, val_fraction=0))
    } == {"train"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segment_seconds": 0.0}, "--segment_seconds=0.0: give at least"),
        ({"test_fraction": 1.0}, "--test_fraction=1.0 is no fraction"),
        ({"columns": ["title"]}, "unknown column 'title' in --columns: videos has video, start"),
    ],
)
def test_a_flag_that_does_not_fit_is_named(folder, change, message):
    with pytest.raises(registry.UserError, match=message):
        videos.rows(changed(folder, **change))


def test_a_folder_without_videos_is_named(tmp_path):
    with pytest.raises(registry.UserError, match="holds no video"):
        videos.rows(manifest.Options(root=str(tmp_path)))


# --- Flickr-SoundNet


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 20)).save(path)


def test_the_layout_of_flickr_soundnet_pairs_a_picture_with_its_five_seconds(tmp_path):
    write(tmp_path / "train_videos.txt", "x/1.mp4", "x/2.mp4", "x/3.mp4")
    sound(tmp_path / "x" / "1.wav", seconds=12)
    sound(tmp_path / "x" / "2.mp4.wav", seconds=5.2)
    for name in ("1.mp4/1", "1.mp4/2", "1.mp4/3", "1.mp4/10", "2.mp4/1", "2.mp4/2", "3.mp4/1"):
        picture(tmp_path / "frames" / "x" / f"{name}.jpg")
    rows = videos.rows(manifest.Options(root=str(tmp_path)))
    shown = [(r.id, r.audio, r.image, r.length_seconds) for r in rows]
    frames = f"{tmp_path}/frames/x"
    assert shown == [
        ("x/1.mp4@0", f"{tmp_path}/x/1.wav", f"{frames}/1.mp4/1.jpg", 5),
        ("x/1.mp4@5", f"{tmp_path}/x/1.wav", f"{frames}/1.mp4/2.jpg", 5),
        ("x/1.mp4@10", f"{tmp_path}/x/1.wav", f"{frames}/1.mp4/3.jpg", 5),  # 2 s and zeros
        ("x/2.mp4@0", f"{tmp_path}/x/2.mp4.wav", f"{frames}/2.mp4/1.jpg", 5),
        ("x/3.mp4@0", f"{tmp_path}/x/3.mp4.wav", f"{frames}/3.mp4", 5),  # no sound: a bad row
    ]
    assert {row.padded for row in rows} == {True}


def test_listed_splits_of_flickr_soundnet_stay(tmp_path):
    write(tmp_path / "train_videos.txt", "1.mp4")
    write(tmp_path / "test_videos.txt", "2.mp4")
    rows = videos.rows(manifest.Options(root=str(tmp_path)))
    assert [(row.label, row.split) for row in rows] == [("1.mp4", "train"), ("2.mp4", "test")]
    for flag, value in (("test_fraction", 0.5), ("val_fraction", 0.1), ("segment_seconds", 2)):
        with pytest.raises(registry.UserError, match=f"--{flag}={value:g} means nothing beside"):
            videos.rows(manifest.Options(root=str(tmp_path), **{flag: value}))
    write(tmp_path / "test_videos.txt", "1.mp4")
    with pytest.raises(registry.UserError, match="line 1 names 1.mp4 again"):
        videos.rows(manifest.Options(root=str(tmp_path)))


def annotate(path, *corners):
    tags = ("xmin", "ymin", "xmax", "ymax")
    drawn = "".join(
        f"<bbox>{''.join(f'<{t}>{x}</{t}>' for t, x in zip(tags, box))}</bbox>" for box in corners
    )
    return write(path, f"<annotation>{drawn}</annotation>")


@pytest.mark.parametrize(
    "place", ["frames/{}.jpg audio/{}.wav", "Data/{0}/{0}.jpg Data/{0}/{0}.wav"]
)
def test_annotated_pairs_have_their_boxes(tmp_path, place):
    for name in ("11", "12"):
        annotate(tmp_path / "Annotations" / f"{name}.xml", (0, 64, 128, 256), (64, 0, 256, 128))
        touch(tmp_path, *place.format(name, name).split())
    listed = write(tmp_path / "flickr_test.csv", "12")
    rows = flickr_soundnet.rows(manifest.Options(root=str(tmp_path)))
    assert [(row.id, row.split, row.label) for row in rows] == [
        ("11", "test", "11"),
        ("12", "test", "12"),
    ]
    drawn = boxes.read(rows[0].extra["annotations"], "11")
    assert drawn == [(0, 0.25, 0.5, 1), (0.25, 0, 1, 0.5)]
    sight, heard = (str(tmp_path / part) for part in place.format("11", "11").split())
    assert (rows[0].image, rows[0].audio) == (sight, heard)
    kept = flickr_soundnet.rows(manifest.Options(root=str(tmp_path), split_csv=[listed]))
    assert [row.id for row in kept] == ["12"]
    write(tmp_path / "flickr_test.csv", "13")
    with pytest.raises(registry.UserError, match="no 13.xml, which --split_csv lists"):
        flickr_soundnet.rows(manifest.Options(root=str(tmp_path), split_csv=[listed]))


# --- Images in which nothing sounds, VGG-SS, IS3: in the format of the official files

EXTENDED = "video,audio,label"


def test_the_list_of_extended_flickr_soundnet_adds_pairs_in_which_nothing_sounds(tmp_path):
    for name in ("11", "12"):
        annotate(tmp_path / "Annotations" / f"{name}.xml", (0, 64, 128, 256))
        touch(tmp_path, f"frames/{name}.jpg", f"audio/{name}.wav")
    silent = write(tmp_path / "flickr_test_plus_silent.csv", EXTENDED, "11,12,non-sounding")
    rows = flickr_soundnet.rows(manifest.Options(root=str(tmp_path), split_csv=[silent]))
    assert [row.id for row in rows] == ["11", "12", "11+12"]
    last = rows[-1]
    assert (last.image, last.audio) == (
        str(tmp_path / "frames/11.jpg"),
        str(tmp_path / "audio/12.wav"),
    )
    assert last.extra == {"annotations": "none"} and boxes.absent("none") == ""
    kept = write(tmp_path / "flickr_test.csv", "12")
    both = manifest.Options(root=str(tmp_path), split_csv=[kept, silent])
    assert [row.id for row in flickr_soundnet.rows(both)] == ["12", "11+12"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("11,,non-sounding", "line 2 names no video or no audio"),
        ("11,12,non-sounding\n11,12,non-sounding", "line 3 names the pair 11, 12 again"),
        ("11,12", "line 2 has 2 cells and the header has 3"),
    ],
)
def test_an_extended_list_that_cannot_be_is_named_with_its_line(tmp_path, line, sentence):
    with pytest.raises(registry.UserError, match=sentence):
        extended.read([write(tmp_path / "silent.csv", EXTENDED, line)])


def test_a_line_of_an_extended_list_that_is_not_silent_keeps_its_video(tmp_path):
    path = write(tmp_path / "all.csv", EXTENDED, "11,11,sounding", "12,13,non-sounding")
    assert extended.read([path]) == ({"11"}, [("12", "13")])


def vggss_folder(folder, *entries):
    write(folder / "vggss.json", json.dumps(entries))
    touch(folder, "frames/a_000030.jpg", "audio/a_000030.wav", "frames/b_000001.jpg")
    return manifest.Options(root=str(folder))


COWS = {
    "file": "a_000030",
    "class": "cow lowing",
    # Two cows, one that reaches over the edge, and what the official file has, too: a point.
    "bbox": [[0.1, 0.25, 0.5, 1.0], [0.5, -0.01, 1.01, 0.5], [0.00625, 0.0156, 0.00625, 0.0156]],
}


def test_vggss_has_a_box_per_thing_that_sounds(tmp_path, caplog):
    options = vggss_folder(tmp_path, COWS)
    (row,) = vggss.rows(options)
    assert (row.id, row.split, row.label) == ("a_000030", "test", "cow lowing")
    assert boxes.read(row.extra["objects"], "x") == [(0.1, 0.25, 0.5, 1.0), (0.5, 0.0, 1.0, 0.5)]
    assert row.image == str(tmp_path / "frames/a_000030.jpg")
    assert "1 boxes of" in caplog.text and "have no area and are left out" in caplog.text
    silent = write(
        tmp_path / "vggss_test_plus_silent.csv", EXTENDED, "b_000001,b_000001,non-sounding"
    )
    listed = write(tmp_path / "vggss_test.csv", "a_000030")
    rows = vggss.rows(changed(options, split_csv=[listed, silent]))
    assert [(row.id, row.label) for row in rows[1:]] == [("b_000001+b_000001", "non-sounding")]
    assert rows[1].extra["objects"] == "none" and not rows[1].problem


def test_a_frame_without_a_box_of_any_area_is_a_bad_row_and_counted(tmp_path):
    flat = {"file": "b_000001", "class": "dog", "bbox": [[0.2, 1.0, 0.7, 1.0]]}
    options = vggss_folder(tmp_path, COWS, flat)
    rows = vggss.rows(options)
    assert [row.problem for row in rows] == ["", "has no box with an area"]
    for name in ("a_000030", "b_000001"):
        sound(tmp_path / "audio" / f"{name}.wav")
        Image.new("RGB", (24, 20), (9, 99, 200)).save(tmp_path / "frames" / f"{name}.jpg")
    settings = dataset.Settings(output=str(tmp_path / "out"), source="vggss", max_bad_fraction=0.5)
    report = dataset.prepare(rows, settings)
    assert list(shards.Index.read(tmp_path / "out").id) == ["a_000030"]
    assert "has no box with an area" in (tmp_path / "out" / "bad_rows.csv").read_text(), report


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "vggss.json cannot be read as JSON"),
        ("{}", "vggss.json is no list of annotations"),
        ('[{"file": "a", "class": "b"}]', "entry 0 has no 'bbox'"),
        (
            '[{"file": "a", "class": "b", "bbox": [[1, 2, 3]]}]',
            r"a: the box \[1, 2, 3\] is not left, top, right and bottom",
        ),
        (
            '[{"file": "a", "class": "b", "bbox": [["x", 0, 1, 1]]}]',
            r"the box \['x', 0, 1, 1\] is not",
        ),
    ],
)
def test_a_file_of_vggss_that_is_another_is_a_sentence(tmp_path, text, sentence):
    touch(tmp_path, "frames/a.jpg")
    write(tmp_path / "vggss.json", text)
    with pytest.raises(registry.UserError, match=sentence):
        vggss.rows(manifest.Options(root=str(tmp_path)))


def test_a_list_that_names_a_frame_which_is_not_annotated_is_refused(tmp_path):
    options = vggss_folder(tmp_path, COWS)
    listed = write(tmp_path / "vggss_test.csv", "c_000001")
    with pytest.raises(registry.UserError, match="has no c_000001, which --split_csv lists"):
        vggss.rows(changed(options, split_csv=[listed]))


def test_is3_has_a_row_per_source_with_a_box_in_pixels_of_224(tmp_path):
    names = ("accordion_female_10438_accordion", "accordion_female_10438_female")
    touch(tmp_path, *(f"images/{n}.jpg" for n in names), *(f"audio_wav/{n}.wav" for n in names))
    corners = ([56.0, 112.0, 168.0, 224.0], [0.0, 0.0, 224.0, 0.0])
    entries = [
        {"image": f"/x/visual_frames/{n}.jpg", "audio": f"/x/audio_wav/{n}.wav", "gt_box": box}
        for n, box in zip(names, corners)
    ]
    write(tmp_path / "IS3_annotation.json", json.dumps(entries))
    first, second = is3.rows(manifest.Options(root=str(tmp_path)))
    assert (first.id, first.label, first.split) == (names[0], "accordion", "test")
    assert boxes.read(first.extra["objects"], "x") == [(0.25, 0.5, 0.75, 1.0)]
    assert first.audio == str(tmp_path / "audio_wav" / f"{names[0]}.wav")
    assert (second.label, second.problem) == ("female", "has no box with an area")
