"""Sources with an official layout: CREMA-D, SSW60, UCF-101, VoxCeleb2."""

import collections
import gzip

import pytest

from tfav import registry
from tfav.data.prepare import manifest
from tfav.data.prepare.sources import crema_d, parts, ssw60, ucf101, voxceleb2


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def changed(options, **changes):
    return manifest.Options(**{**vars(options), **changes})


def order(rows, split="train"):
    """Labels in order of first appearance: the class order of the data set."""
    return list(dict.fromkeys(row.label for row in rows if row.split == split))


def speakers(rows, split):
    return {row.id.split("_")[0] for row in rows if row.split == split}


# --- parts


def names(count, strata=2):
    return {f"name{i}": f"stratum{i % strata}" for i in range(count)}


def test_carve_takes_the_share_of_each_stratum_from_the_seed():
    options = manifest.Options(val_fraction=0.2, seed=3)
    taken = parts.carve(names(20), options)
    assert collections.Counter(names(20)[name] for name in taken) == {"stratum0": 2, "stratum1": 2}
    assert taken == parts.carve(names(20), options)
    assert any(taken != parts.carve(names(20), changed(options, seed=s)) for s in range(4, 8))
    # A stratum's draw is its own affair: others may come and go.
    alone = {name: stratum for name, stratum in names(20).items() if stratum == "stratum1"}
    assert parts.carve(alone, options) == taken & set(alone)


def test_carve_takes_at_least_one_and_never_all():
    sizes = [(1, 0), (2, 1), (9, 1), (11, 1), (100, 10)]
    for size, expected in sizes:
        assert len(parts.carve(names(size, 1), manifest.Options(val_fraction=0.1))) == expected
    assert len(parts.carve(names(4, 1), manifest.Options(val_fraction=0.99))) == 3
    assert parts.carve(names(4), manifest.Options()) == set()


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_fraction_that_is_none_is_refused(fraction):
    with pytest.raises(registry.UserError, match="--val_fraction"):
        parts.carve(names(4), manifest.Options(val_fraction=fraction))


def test_lines_of_a_list_forgive_a_byte_order_mark_and_blank_lines(tmp_path):
    (tmp_path / "stat.csv").write_bytes(b"\xef\xbb\xbfNEU\r\n\r\nHAP")
    assert parts.read_lines(tmp_path / "stat.csv") == [(1, "NEU"), (3, "HAP")]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_list_that_cannot_be_read_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "stat.csv").write_bytes(content)
    with pytest.raises(registry.UserError, match="stat.csv"):
        parts.read_lines(tmp_path / "stat.csv")


# --- CREMA-D

ACTORS = [str(1001 + i) for i in range(20)]
EMOTIONS = ("NEU", "HAP", "ANG")


@pytest.fixture
def crema(tmp_path):
    """20 actors with a clip of each of 3 emotions; one emotion of each actor is in the test."""
    root = tmp_path / "crema"
    lines = {"train": [], "test": []}
    for number, actor in enumerate(ACTORS):
        for place, emotion in enumerate(EMOTIONS):
            clip = f"{actor}_IEO_{emotion}_{'LO' if place else 'X'}"
            touch(root, f"AudioWAV/{clip}.wav", f"image/{clip}.jpg")
            split = "test" if (number + place) % 3 == 0 else "train"
            lines[split].append(f"{clip},{emotion}")
    train = write(root / "train.csv", *lines["train"])
    test = write(root / "test.csv", *lines["test"])
    write(
        root / "VideoDemographics.csv",
        '"ActorID","Age","Sex"',
        *(f'{actor},30,"{"Male" if i < 10 else "Female"}"' for i, actor in enumerate(ACTORS)),
    )
    return manifest.Options(root=str(root), split_csv=[train, test])


def test_crema_d_gives_one_row_a_clip_with_its_files_and_actor(crema, tmp_path):
    rows = crema_d.rows(crema)
    assert len(rows) == 60 and collections.Counter(row.split for row in rows)["test"] == 20
    (row,) = [row for row in rows if row.id == "1001_IEO_HAP_LO"]
    assert row == manifest.Row(
        "1001_IEO_HAP_LO",
        "train",
        "HAP",
        audio=str(tmp_path / "crema/AudioWAV/1001_IEO_HAP_LO.wav"),
        image=str(tmp_path / "crema/image/1001_IEO_HAP_LO.jpg"),
        extra={"actor": "1001", "gender": "m"},
    )
    assert crema_d.rows(changed(crema, columns=["gender"]))[0].extra == {"gender": "m"}


def test_crema_d_classes_are_sorted_or_as_the_stat_file_has_them(crema, tmp_path):
    assert order(crema_d.rows(crema)) == ["ANG", "HAP", "NEU"]
    (tmp_path / "stat.csv").write_bytes(b"\xef\xbb\xbfNEU\nHAP\nANG\n")
    stat = changed(crema, split_csv=[*crema.split_csv, str(tmp_path / "stat.csv")])
    assert order(crema_d.rows(stat)) == ["NEU", "HAP", "ANG"]


def test_crema_d_warns_that_the_official_split_shares_its_actors(crema, caplog):
    crema_d.rows(crema)
    assert "20 of the 20 actors of test are in train too" in caplog.text


def test_crema_d_speaker_disjoint_tests_each_actor_once_and_balances_the_sexes(crema, caplog):
    tested = collections.Counter()
    for number in range(1, crema_d.FOLDS + 1):
        rows = crema_d.rows(changed(crema, speaker_disjoint=True, split_number=number))
        testing = speakers(rows, "test")
        assert not testing & speakers(rows, "train")
        # A fifth of 10 men and of 10 women.
        assert collections.Counter(actor < "1011" for actor in testing) == {True: 2, False: 2}
        tested.update(testing)
    assert tested == dict.fromkeys(ACTORS, 1)
    assert "known speakers" not in caplog.text


def test_crema_d_val_is_carved_from_train_by_actors(crema):
    for disjoint in (False, True):
        rows = crema_d.rows(changed(crema, speaker_disjoint=disjoint, val_fraction=0.25))
        val = speakers(rows, "val")
        assert not val & speakers(rows, "train")
        assert bool(val & speakers(rows, "test")) != disjoint
        # A quarter of 10 (rounds to 2) or of 8 of each sex.
        assert collections.Counter(actor < "1011" for actor in val) == {True: 2, False: 2}


def test_crema_d_takes_folders_of_frames_or_videos_instead_of_images(crema, tmp_path):
    root = tmp_path / "crema"
    (root / "image").rename(root / "elsewhere")
    touch(root, "VideoFlash/1001_IEO_HAP_LO.flv")
    row = {row.id: row for row in crema_d.rows(crema)}["1001_IEO_HAP_LO"]
    assert (row.image, row.video) == (None, str(root / "VideoFlash/1001_IEO_HAP_LO.flv"))
    assert row.audio.endswith(".wav")
    touch(root, "Image-01-FPS/1001_IEO_HAP_LO/0001.jpg")
    row = {row.id: row for row in crema_d.rows(crema)}["1001_IEO_HAP_LO"]
    assert row.image == str(root / "Image-01-FPS/1001_IEO_HAP_LO")
    (root / "AudioWAV").rename(root / "sounds")
    rows = crema_d.rows(crema)
    assert all(row.audio is None and row.video.endswith(f"{row.id}.flv") for row in rows)


def test_crema_d_finds_its_lists_in_the_root(crema):
    assert crema_d.rows(changed(crema, split_csv=())) == crema_d.rows(crema)


@pytest.mark.parametrize(
    ("change", "remove", "message"),
    [
        ({"root": "/no/where"}, (), "--root=/no/where is not a folder"),
        ({}, ("AudioWAV",), "holds no AudioWAV or VideoFlash: give the folder that"),
        ({}, ("image",), "holds no image, Image-01-FPS or VideoFlash"),
        ({"split_csv": ()}, ("test.csv",), "crema_d needs --split_csv=train.csv,test.csv"),
        ({"split_csv": ["/no/people.csv"]}, (), "--split_csv=/no/people.csv: give one file each"),
        ({"speaker_disjoint": True}, ("VideoDemographics.csv",), "needs VideoDemographics.csv"),
        ({"speaker_disjoint": True, "split_number": 6}, (), "--split_number=6: give 1 to 5"),
        ({"columns": ["age"]}, (), "unknown column 'age' in --columns: crema_d has actor, gender"),
    ],
)
def test_crema_d_names_what_does_not_fit(crema, tmp_path, change, remove, message):
    for name in remove:
        (tmp_path / "crema" / name).rename(tmp_path / name)
    with pytest.raises(registry.UserError, match=message):
        crema_d.rows(changed(crema, **change))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1001_IEO_HAP_LO,SAD", "train.csv line 1 is '1001_IEO_HAP_LO,SAD'"),
        ("clip,label", "train.csv line 1 is 'clip,label'"),
        ("1001_IEO_NEU_X,NEU", "'1001_IEO_NEU_X' is in both .*train.csv and .*test.csv"),
        ("1099_IEO_NEU_X,NEU", "VideoDemographics.csv lacks actor 1099"),
    ],
)
def test_crema_d_names_a_bad_line(crema, line, message):
    write_to = crema.split_csv[0]
    with open(write_to, "w") as file:
        file.write(line + "\n")
    with pytest.raises(registry.UserError, match=message):
        crema_d.rows(crema)


@pytest.fixture
def unpacked(real_data, tmp_path):
    """Unpacks the official lists of a data set into a folder."""

    def unpack(name, folder=tmp_path):
        folder.mkdir(exist_ok=True)
        paths = sorted((real_data / "protocols" / name).glob("*.gz"))
        for path in paths:
            (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        return [str(folder / path.stem) for path in paths]

    return unpack


def test_the_official_crema_d_lists(unpacked, tmp_path, caplog):
    kinds = ("mmcosine_", "VideoDemographics")
    lists = [path for path in unpacked("crema-d") if any(kind in path for kind in kinds)]
    touch(tmp_path, "AudioWAV/x.wav", "image/x.jpg")
    options = manifest.Options(root=str(tmp_path), split_csv=lists)
    rows = crema_d.rows(options)
    assert collections.Counter(row.split for row in rows) == {"train": 6698, "test": 744}
    assert collections.Counter(row.label for row in rows if row.split == "train") == {
        "ANG": 1166,
        "HAP": 1148,
        "DIS": 1142,
        "FEA": 1138,
        "SAD": 1131,
        "NEU": 973,
    }
    assert order(rows) == ["NEU", "HAP", "SAD", "FEA", "DIS", "ANG"]  # stat.csv is among the lists
    plain = [path for path in lists if "stat" not in path]
    rows = crema_d.rows(changed(options, split_csv=plain))
    assert order(rows) == ["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]
    assert "91 of the 91 actors of test are in train too" in caplog.text
    people = {row.extra["actor"]: row.extra["gender"] for row in rows}
    assert collections.Counter(people.values()) == {"m": 48, "f": 43}
    apart = crema_d.rows(changed(options, speaker_disjoint=True, val_fraction=0.1))
    sizes = [len(speakers(apart, split)) for split in ("train", "val", "test")]
    # 48 and 43 dealt to five: 10 + 9 in the test; a tenth of the 38 + 34 left: 4 + 3.
    assert sizes == [65, 7, 19]
    assert len(apart) == 7442


# --- SSW60


@pytest.fixture
def birds(tmp_path):
    root = tmp_path / "ssw60"
    lines = ["asset_id,label,split,fps,reliable_audio"]
    lines += [
        f"{100 + i},{10 - i % 2},{'test' if i > 9 else 'train'},25,{i % 3}" for i in range(12)
    ]
    write(root / "video_ml.csv", *lines)
    touch(root, "video_ml/100.mp4")
    return manifest.Options(root=str(root))


def test_ssw60_gives_one_row_a_video_in_the_order_of_the_numbers(birds, tmp_path):
    rows = ssw60.rows(birds)
    assert order(rows) == ["9", "10"]  # as numbers, not as text
    assert [row.id for row in rows if row.split == "test"] == ["111", "110"]
    assert rows[0] == manifest.Row(
        "101",
        "train",
        "9",
        video=str(tmp_path / "ssw60/video_ml/101.mp4"),
        extra={"reliable_audio": "1"},
    )


def test_ssw60_names_species_where_the_taxa_are_there(birds, tmp_path):
    write(
        tmp_path / "ssw60/taxa.csv", "label,species_code,common_name", "9,amerob,R", "10,bkcchi,C"
    )
    assert order(ssw60.rows(birds)) == ["amerob", "bkcchi"]
    write(tmp_path / "ssw60/taxa.csv", "label,species_code", "9,amerob")
    with pytest.raises(registry.UserError, match="taxa.csv lacks the label 10"):
        ssw60.rows(birds)


def test_ssw60_val_is_carved_from_the_training_videos_of_each_species(birds):
    rows = ssw60.rows(changed(birds, val_fraction=0.4))
    count = collections.Counter((row.split, row.label) for row in rows)
    assert count["val", "9"] == count["val", "10"] == 2
    assert count["train", "9"] == count["train", "10"] == 3
    assert count["test", "9"] == count["test", "10"] == 1


def test_ssw60_names_what_does_not_fit(birds, tmp_path):
    with pytest.raises(registry.UserError, match="holds no video_ml: give the folder"):
        ssw60.rows(manifest.Options(root=str(tmp_path)))
    write(tmp_path / "ssw60/video_ml.csv", "asset_id,label,split", "1,robin,train")
    with pytest.raises(registry.UserError, match="video_ml.csv line 2: label is 'robin'"):
        ssw60.rows(birds)


# --- UCF-101


@pytest.fixture
def actions(tmp_path):
    """Two classes, 6 training groups and a test group each, in official split 2."""
    root = tmp_path / "ucf"
    touch(root, "UCF-101/Yo/v_Yo_g01_c01.avi")
    lists = root / "ucfTrainTestlist"
    write(lists / "classInd.txt", "1 Archery", "2 Yo", "10 Zumba")
    clips = {
        label: [f"{label}/v_{label}_g{g:02d}_c{c:02d}.avi" for g in range(1, 8) for c in (1, 2)]
        for label in ("Yo", "Archery")
    }
    write(lists / "testlist02.txt", *clips["Yo"][:2], *clips["Archery"][:2])
    train = [f"{clip} 2" for clip in clips["Yo"][2:]] + [f"{x} 1" for x in clips["Archery"][2:]]
    write(lists / "trainlist02.txt", *train)
    return manifest.Options(root=str(root), split_number=2)


def test_ucf101_gives_one_row_a_video_with_its_group(actions, tmp_path):
    rows = ucf101.rows(actions)
    assert collections.Counter(row.split for row in rows) == {"train": 24, "test": 4}
    assert order(rows) == order(rows, "test") == ["Archery", "Yo"]
    assert rows[0] == manifest.Row(
        "v_Archery_g02_c01",
        "train",
        "Archery",
        video=str(tmp_path / "ucf/UCF-101/Archery/v_Archery_g02_c01.avi"),
        extra={"group": "Archery_g02"},
    )


def test_ucf101_val_is_carved_by_whole_groups_of_each_class(actions):
    rows = ucf101.rows(changed(actions, val_fraction=0.34))
    groups = {s: {r.extra["group"] for r in rows if r.split == s} for s in ("train", "val", "test")}
    assert not groups["train"] & groups["val"] and not groups["test"] & groups["val"]
    assert collections.Counter(name.split("_")[0] for name in groups["val"]) == {
        "Archery": 2,
        "Yo": 2,
    }
    assert sum(row.split == "val" for row in rows) == 8  # two clips each


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split_number": 4}, "--split_number=4: give 1 to 3"),
        ({"split_number": 1}, "finds no trainlist01.txt in .*ucfTrainTestlist: unpack"),
        ({"root": "/no/where"}, "--root=/no/where is not a folder"),
    ],
)
def test_ucf101_names_what_does_not_fit(actions, change, message):
    with pytest.raises(registry.UserError, match=message):
        ucf101.rows(changed(actions, **change))


@pytest.mark.parametrize("line", ["Yo/v_Yo_g01_c01.avi", "Bow/v_Bow_g01_c01.avi", "Yo.avi"])
def test_ucf101_names_a_line_that_is_wrong_or_repeats_another(actions, tmp_path, line):
    path = write(tmp_path / "lists" / "testlist02.txt", "Yo/v_Yo_g01_c01.avi", line)
    with pytest.raises(registry.UserError, match=r"testlist02.txt line 2 is"):
        ucf101.rows(changed(actions, split_csv=[path]))


@pytest.mark.parametrize(
    ("number", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)]
)
def test_the_official_ucf101_lists(unpacked, tmp_path, number, train, test):
    unpacked("ucf101", tmp_path / "ucfTrainTestlist")
    (tmp_path / "UCF-101").mkdir()
    rows = ucf101.rows(manifest.Options(root=str(tmp_path), split_number=number))
    assert collections.Counter(row.split for row in rows) == {"train": train, "test": test}
    assert len(order(rows)) == 101 and order(rows) == sorted(order(rows), key=str.lower)
    groups = [{r.extra["group"] for r in rows if r.split == split} for split in ("train", "test")]
    assert not groups[0] & groups[1]


# --- VoxCeleb2


@pytest.mark.parametrize(
    ("count", "expected"),
    [(20, (2, 6)), (8, (2, 6)), (7, (2, 5)), (6, (2, 4)), (5, (1, 3)), (4, (0, 2)), (3, (0, 2))],
)
def test_training_takes_two_frames_by_their_number(count, expected):
    assert voxceleb2.frame_numbers(count, "train") == expected
    assert voxceleb2.frame_numbers(count, "test") == (2,)


def test_short_clips_take_their_last_frame_instead():
    assert voxceleb2.frame_numbers(2, "train") == (0, 1)
    assert voxceleb2.frame_numbers(1, "train") == (0, 0)
    assert voxceleb2.frame_numbers(1, "test") == (0,)


@pytest.fixture
def vox2(tmp_path):
    wav, faces = tmp_path / "wav", tmp_path / "faces"
    touch(wav, "id2/vA/00001.wav", "id2/vB/00001.flac", "id1/vC/00002.wav", "id1/notes.txt")
    touch(wav, "id9/vX/00001.wav", "id9/vX/00002.wav", "id9/vY/00003.wav")
    for name, count in (("id2#vA#00001", 8), ("id1#vC#00002", 5), ("id9#vX#00001", 4)):
        touch(faces, *(f"{name}.txt#000.mp4/{k:07d}.png" for k in range(count)))
    trials = write(
        tmp_path / "test_pairs.csv",
        "1,/id9/vX/00001.wav,/id9/vY/00003.wav",
        "0,/id9/vX/00001.wav,/id8/vZ/00001.wav",
    )
    return manifest.Options(audio_root=str(wav), image_root=str(faces), split_csv=[trials])


def test_voxceleb2_trains_on_the_speakers_that_no_trial_names(vox2, tmp_path, caplog):
    rows = voxceleb2.rows(vox2)
    assert [(row.id, row.split, row.label) for row in rows] == [
        ("id1/vC/00002.wav", "train", "id1"),
        ("id2/vA/00001.wav", "train", "id2"),
        ("id2/vB/00001.wav", "train", "id2"),
        ("id8/vZ/00001.wav", "test", "id8"),
        ("id9/vX/00001.wav", "test", "id9"),
        ("id9/vY/00003.wav", "test", "id9"),
    ]
    assert rows[2].audio == str(tmp_path / "wav/id2/vB/00001.flac")
    assert rows[3].audio == str(tmp_path / "wav/id8/vZ/00001.wav")  # missing: a bad row
    assert rows[0].extra == {"recording": "id1/vC"}
    left_out = "1 utterances of 1 speakers of the trials are left out, first id9/vX/00002.wav"
    assert left_out in caplog.text


def test_voxceleb2_rows_have_their_frames(vox2, caplog):
    rows = {row.id: row for row in voxceleb2.rows(vox2)}
    names = {
        name: [path.rpartition("/")[2] for path in row.image or ()] for name, row in rows.items()
    }
    assert names == {
        "id2/vA/00001.wav": ["0000002.png", "0000006.png"],
        "id1/vC/00002.wav": ["0000001.png", "0000003.png"],
        "id2/vB/00001.wav": [],
        "id9/vX/00001.wav": ["0000002.png"],
        "id9/vY/00003.wav": [],
        "id8/vZ/00001.wav": [],
    }
    assert "id2#vA#00001.txt#000.mp4/" in rows["id2/vA/00001.wav"].image[0]
    assert "3 utterances have no frames, first id2/vB/00001.wav" in caplog.text


def test_voxceleb2_val_is_carved_by_recordings_of_each_speaker(vox2):
    rows = voxceleb2.rows(changed(vox2, val_fraction=0.5))
    # One of the two recordings of id2; the only one of id1 stays.
    assert collections.Counter((r.split, r.label) for r in rows if r.split != "test") == {
        ("train", "id1"): 1,
        ("train", "id2"): 1,
        ("val", "id2"): 1,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_root": None}, "needs --image_root"),
        ({"split_csv": ()}, "needs --split_csv"),
        ({"audio_root": "{tmp}/faces"}, "faces holds no <id>/<video>/<utterance> of a speaker"),
        ({"image_root": "{tmp}/wav"}, "wav holds no folder of frames of any utterance"),
        ({"split_csv": ["{tmp}/bad.csv"]}, "bad.csv line 2 is '2,a/b/c.wav,d/e/f.wav'"),
    ],
)
def test_voxceleb2_names_what_does_not_fit(vox2, tmp_path, change, message):
    write(tmp_path / "bad.csv", "label,first,second", "2,a/b/c.wav,d/e/f.wav")
    filled = {
        name: [v.format(tmp=tmp_path) for v in value]
        if isinstance(value, list)
        else value and value.format(tmp=tmp_path)
        for name, value in change.items()
        if value != ()
    }
    with pytest.raises(registry.UserError, match=message):
        voxceleb2.rows(changed(vox2, **{**change, **filled}))


@pytest.mark.parametrize(
    ("file", "speakers"), [("mmcosine_test_pairs.csv", 118), ("mmcosine_veri_test.csv", 40)]
)
def test_the_official_trials(unpacked, tmp_path, file, speakers):
    unpacked("voxceleb2", tmp_path / "lists")
    path = tmp_path / "lists" / file
    assert len(parts.read_lines(path)) == {"mmcosine_test_pairs.csv": 9822}.get(file, 27270)
    touch(tmp_path, "wav/id99999/v/00001.wav", "faces/id99999#v#00001.txt#000.mp4/0000000.png")
    rows = voxceleb2.rows(
        manifest.Options(
            audio_root=str(tmp_path / "wav"),
            image_root=str(tmp_path / "faces"),
            split_csv=[str(path)],
        )
    )
    assert len({row.label for row in rows if row.split == "test"}) == speakers
    assert all(row.id.count("/") == 2 and not row.id.startswith("/") for row in rows)
