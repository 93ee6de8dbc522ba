"""FAME's blind pairs: from a MAV-Celeb-like corpus to a file of scores that the check accepts."""

import pathlib

import numpy as np
import pytest
import soundfile
from PIL import Image

from tfav import registry
from tfav.commands import blind_pairs, load
from tfav.data import shards
from tfav.data.prepare import dataset, manifest, sources

PEOPLE, LANGUAGES = 6, ("English", "Urdu")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("mav")
    time = np.arange(8000) / 16_000
    for person in range(PEOPLE):
        for language in LANGUAGES:
            voice = root / f"voices/id{person:04d}/{language}/clip"
            face = root / f"faces/id{person:04d}/{language}/clip"
            for folder in (voice, face):
                folder.mkdir(parents=True)
            tone = 0.3 * np.sin(2 * np.pi * (150 + 40 * person) * time)
            soundfile.write(voice / "00.wav", tone, 16_000)
            Image.new("RGB", (40, 40), (40 * person, 90, 200 - 30 * person)).save(face / "00.jpg")
    lines = [
        f"pair{a}{b} voices/id{a:04d}/English/clip/00.wav faces/id{b:04d}/English/clip/00.jpg"
        for a in range(3)
        for b in range(2)
    ]
    (root / "English_test.txt").write_text("\n".join(lines) + "\n")
    return root


def test_people_who_test_do_so_in_the_language_that_was_heard_and_in_the_other(corpus, tmp_path):
    (corpus / "test_ids.txt").write_text("id0004\nid0005\n")
    options = manifest.Options(
        root=str(corpus),
        split_csv=[str(corpus / "test_ids.txt")],
        val_fraction=0.3,
        own={"heard": "Urdu"},
    )
    rows = sources.SOURCES["mav_celeb"].rows(options)
    # 6 people, of whom 2 test in both languages; of the 4 others one validates, in Urdu alone.
    count = {s: sum(row.split == s for row in rows) for s in ("train", "val", "test", "unheard")}
    assert count == {"train": 6, "val": 2, "test": 4, "unheard": 4}
    for row in rows:
        assert row.extra["heard"] == ("yes" if "/Urdu/" in row.id else "no")
        assert (row.split == "unheard") == (row.extra["heard"] == "no")
        assert (row.label in ("id0004", "id0005")) == (row.split in ("test", "unheard"))
    dataset.prepare(rows, dataset.Settings(output=str(tmp_path / "set")))
    assert (tmp_path / "set" / "lists" / "match_v2f_2_unheard.txt").exists()
    assert shards.Index.read(tmp_path / "set").extra["language"].tolist().count("English") == 4


def test_pairs_become_a_file_of_scores_that_the_check_accepts(corpus, tmp_path):
    pairs = str(corpus / "English_test.txt")
    found = {}
    for kind in blind_pairs.SCORES:
        output = str(tmp_path / f"{kind}.txt")
        assert blind_pairs.score("toy", pairs, str(corpus), output, kind=kind) == 6
        lines = [line.split() for line in pathlib.Path(output).read_text().splitlines()]
        assert [name for name, _ in lines] == [f"pair{a}{b}" for a in range(3) for b in range(2)]
        found[kind] = np.array([float(score) for _, score in lines])
    model = load.load("toy")
    voice = model.embed([str(corpus / "voices/id0001/English/clip/00.wav")])
    face = model.embed([str(corpus / "faces/id0000/English/clip/00.jpg")])
    assert found["similarity"][2] == pytest.approx(model.similarity(voice, face)[0, 0], abs=1e-5)
    # Of unit vectors: d^2 = 2 - 2 cos.
    np.testing.assert_allclose(found["distance"] ** 2, 2 - 2 * found["similarity"], atol=1e-4)
    with pytest.raises(registry.UserError, match="similarity.txt exists"):
        blind_pairs.score("toy", pairs, str(corpus), str(tmp_path / "similarity.txt"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 0.5\n", "lacks 1 ids, first b, and .* has 2 pairs"),
        ("a 0.5\nb 0.1\nc 0\n", "holds, unlike the list, 1 ids, first c"),
        ("a 0.5\na 0.1\n", "holds the id 'a' twice, as pairs 1 and 2"),
        ("a 0.5\nb nan\n", "line 2: the score 'nan' of 'b' is no finite number"),
        ("a 0.5\nb x\n", "line 2: the score 'x' of 'b' is no finite number"),
        ("a 0.5 1\nb 1\n", "line 1 has 3 words instead of ID SCORE"),
        ("a 0.5\nb 0.5\n", "gives every pair the score 0.5"),
        ("\n", "is empty: give lines ID SCORE"),
    ],
)
def test_a_file_of_scores_that_cannot_be_handed_in_is_a_sentence(text, message, tmp_path):
    (tmp_path / "pairs.txt").write_text("a v/1.wav f/1.jpg\nb v/2.wav f/2.jpg\n")
    (tmp_path / "scores.txt").write_text(text)
    with pytest.raises(registry.UserError, match=message):
        blind_pairs.check(str(tmp_path / "scores.txt"), str(tmp_path / "pairs.txt"))
    (tmp_path / "scores.txt").write_text("b 0.25\na -1\n")
    assert blind_pairs.check(str(tmp_path / "scores.txt"), str(tmp_path / "pairs.txt")) == 2


def test_scores_need_a_root_and_a_list_that_are_there(corpus, tmp_path):
    output = str(tmp_path / "out.txt")
    with pytest.raises(registry.UserError, match="--media_root=nowhere does not exist"):
        blind_pairs.score("toy", str(corpus / "English_test.txt"), "nowhere", output)
    with pytest.raises(registry.UserError, match="none.txt does not exist"):
        blind_pairs.score("toy", str(tmp_path / "none.txt"), str(corpus), output)


def test_a_file_that_cannot_be_scored_names_no_flag_that_would_not_help(corpus, tmp_path):
    face = "faces/id0000/English/clip/00.jpg"
    (tmp_path / "pairs.txt").write_text(
        f"a voices/gone.wav {face}\nb voices/id0000/English/clip/00.wav {face}\n"
    )
    with pytest.raises(registry.UserError, match="gone.wav does not exist .*none may be left out"):
        blind_pairs.score("toy", str(tmp_path / "pairs.txt"), str(corpus), str(tmp_path / "o.txt"))
    assert not (tmp_path / "o.txt").exists()
