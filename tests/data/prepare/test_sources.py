"""Sources: which rows a folder of recordings and photographs, or a corpus, gives."""

import collections
import gzip
import shutil

import pytest

from tfav import registry
from tfav.data.prepare import manifest, sources
from tfav.data.prepare.sources import voxceleb1

HEADER = "VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set\n"


def _touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def options(tmp_path):
    """Two identities in train, one in val, one left out; files in an order of their own."""
    _touch(tmp_path / "wav", "id2/b/2.wav", "id2/b/10.wav", "id2/a/9.FLAC", "id1/a/1.mp3")
    _touch(tmp_path / "wav", "id1/a/notes.txt", "id1/a/2.m4a", "id1/a/._1.wav", "id3/a/1.ogg")
    _touch(tmp_path / "wav", "id4/a/1.wav", "id9/a/1.wav")
    _touch(tmp_path / "faces", "Ann/2.jpg", "Ann/1.JPEG", "Bob/1.png", "Cyd/1.jpg", "Dan/1.jpg")
    (tmp_path / "faces" / "readme").touch()  # a file among the folders crashes the released code
    (tmp_path / "my_train.csv").write_text(
        HEADER + "id2,Ann,f,Norway,dev\nid1,Bob,m,USA,test\nid4,Dan,m,USA,none\n"
    )
    (tmp_path / "my_val.csv").write_text(HEADER + "id3,Cyd,f,USA,dev\n")
    return manifest.Options(
        split_csv=[str(tmp_path / "my_train.csv"), str(tmp_path / "my_val.csv")],
        audio_root=str(tmp_path / "wav"),
        image_root=str(tmp_path / "faces"),
    )


def test_voxceleb1_lists_identities_in_csv_order_and_files_sorted(options):
    rows = voxceleb1.rows(options)
    assert [row.id for row in rows] == [
        "id2/a/9.FLAC",
        "id2/b/10.wav",
        "id2/b/2.wav",
        "Ann/1.JPEG",
        "Ann/2.jpg",
        "id1/a/1.mp3",
        "id1/a/2.m4a",
        "Bob/1.png",
        "id3/a/1.ogg",
        "Cyd/1.jpg",
    ]
    assert [row.label for row in rows] == ["id2"] * 5 + ["id1"] * 3 + ["id3"] * 2


def test_the_name_of_the_csv_is_the_split_and_set_none_is_left_out(options):
    # VoxCeleb1's own Set says test for id1, but the file it stands in is the training list.
    splits = {row.label: row.split for row in voxceleb1.rows(options)}
    assert splits == {"id2": "train", "id1": "train", "id3": "val"}


def test_a_csv_of_another_name_takes_the_split_from_set(options, tmp_path):
    (tmp_path / "people.csv").write_text(HEADER + "id1,Bob,m,USA,dev\nid3,Cyd,f,USA,test\n")
    changed = manifest.Options(**{**vars(options), "split_csv": [str(tmp_path / "people.csv")]})
    splits = {row.label: row.split for row in voxceleb1.rows(changed)}
    assert splits == {"id1": "train", "id3": "test"}


def test_a_row_has_one_file_gender_and_nationality_and_the_left_channel(options, tmp_path):
    voice, face = voxceleb1.rows(options)[0], voxceleb1.rows(options)[3]
    assert (voice.audio, voice.image) == (str(tmp_path / "wav" / "id2/a/9.FLAC"), None)
    assert (face.audio, face.image) == (None, str(tmp_path / "faces" / "Ann/1.JPEG"))
    assert voice.extra == {"gender": "f", "nationality": "Norway"}
    assert voice.channel == "left"
    chosen = manifest.Options(**{**vars(options), "columns": ["gender"]})
    assert voxceleb1.rows(chosen)[0].extra == {"gender": "f"}


def test_foreign_files_and_missing_folders_are_counted_aloud(options, tmp_path, caplog):
    shutil.rmtree(tmp_path / "faces" / "Bob")
    voxceleb1.rows(options)
    assert "2 files left out (1 hidden, 1 .txt; first id1/a/._1.wav)" in caplog.text
    assert "1 identities have no image, first Bob" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio_root": None}, "needs --audio_root"),
        ({"image_root": "/no/where"}, "--image_root=/no/where is not a folder"),
        ({"split_csv": ()}, "needs --split_csv"),
        ({"split_csv": ["/no/where.csv"]}, "/no/where.csv does not exist"),
        ({"columns": ["age"]}, "unknown column 'age' in --columns: voxceleb1 has gender"),
    ],
)
def test_a_missing_flag_or_folder_is_named(options, change, message):
    with pytest.raises(registry.UserError, match=message):
        voxceleb1.rows(manifest.Options(**{**vars(options), **change}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("VoxCeleb1_ID,Gender\nid1,m\n", "no column 'VGGFace1_ID'"),
        (HEADER + "id1,Bob,m,USA,none\n", "every row has Set=none"),
        (HEADER + "id1,Bob,m,USA,extra\n", "line 2: Set is 'extra'"),
        (HEADER + "id1,Bob,m,USA,dev\nid1,Cyd,m,USA,val\n", "line 3 repeats 'id1' of .* line 2"),
        (HEADER + "id1,../Bob,m,USA,dev\n", "line 2: VGGFace1_ID is '../Bob'"),
        (HEADER + "id7,Eve,m,USA,dev\n", "no file of any listed identity"),
    ],
)
def test_a_bad_split_file_is_answered_with_one_sentence(options, tmp_path, content, message):
    (tmp_path / "people.csv").write_text(content)
    changed = manifest.Options(**{**vars(options), "split_csv": [str(tmp_path / "people.csv")]})
    with pytest.raises(registry.UserError, match=message):
        voxceleb1.rows(changed)


def test_a_file_name_with_white_space_is_named(options, tmp_path):
    _touch(tmp_path / "wav", "id1/a/my file.wav")
    with pytest.raises(registry.UserError, match="my file.wav' contains white space"):
        voxceleb1.rows(options)


def test_the_official_split_files_give_924_112_and_189_identities(real_data, tmp_path):
    paths = []
    for split in ("train", "val", "test"):
        packed = real_data / "protocols" / "voxceleb1" / f"vox1_{split}.csv.gz"
        paths.append(str(tmp_path / f"vox1_{split}.csv"))
        (tmp_path / f"vox1_{split}.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    people = voxceleb1.identities(paths)
    counts = collections.Counter(split for _, split in people)
    assert counts == {"train": 924, "val": 112, "test": 189}
    genders = collections.Counter((split, person["Gender"]) for person, split in people)
    # spec 1c: train m485/f439, val m67/f45, test m115/f74.
    assert [genders[s, g] for s in ("train", "val", "test") for g in "mf"] == [
        485,
        439,
        67,
        45,
        115,
        74,
    ]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The smallest corpus, written once: its options and its rows."""
    root = tmp_path_factory.mktemp("synthetic") / "corpus"
    options = manifest.Options(corpus=str(root), identities=12)
    return options, sources.SOURCES["synthetic"].rows(options)


def test_the_synthetic_source_writes_a_corpus_and_lists_it(corpus):
    options, rows = corpus
    people = collections.defaultdict(set)
    for row in rows:
        people[row.split].add(row.label)
    assert {split: len(labels) for split, labels in people.items()} == {
        "train": 4,
        "val": 4,
        "test": 4,
    }
    assert len(set.union(*people.values())) == 12
    assert {row.extra["gender"] for row in rows} == {"f", "m"}
    assert (
        sum(row.audio is not None for row in rows)
        == sum(row.image is not None for row in rows)
        == 60
    )


def test_a_corpus_is_replaced_only_when_asked_and_nothing_else_ever(corpus, tmp_path):
    options, _ = corpus
    with pytest.raises(registry.UserError, match="pass --overwrite"):
        sources.SOURCES["synthetic"].rows(options)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(registry.UserError, match="is no synthetic corpus"):
        sources.SOURCES["synthetic"].rows(manifest.Options(corpus=str(tmp_path), overwrite=True))
    with pytest.raises(registry.UserError, match="needs --corpus"):
        sources.SOURCES["synthetic"].rows(manifest.Options())
    assert (tmp_path / "thesis.tex").exists()
