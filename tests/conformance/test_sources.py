"""Every row of `SOURCES` keeps the promises of a source."""

import os

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.conformance import walk
from tfav import registry
from tfav.data import manifest, prepare, shards, sources


def _files(folder, *names):
    """Writes a fifth of a second of sound, or a small picture, at each path."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".wav":
            soundfile.write(path, 0.3 * np.sin(np.arange(3200) / 9), 16_000)
        else:
            Image.new("RGB", (24, 20), (200, 150, 100)).save(path)


def _manifest(folder):
    _files(folder, "a.wav", "a.jpg", "b.wav", "b.jpg")
    lines = ["id,split,label,audio,image,note", "1,train,ann,a.wav,a.jpg,x", "2,test,bob,b.wav,,y"]
    (folder / "mine.csv").write_text("\n".join([*lines, "3,test,bob,,b.jpg,z"]) + "\n")
    return manifest.Options(manifest=str(folder / "mine.csv"))


def _voxceleb1(folder):
    _files(folder / "wav", "id1/a/1.wav", "id1/a/2.wav", "id2/b/1.wav")
    _files(folder / "faces", "Ann/1.jpg", "Bob/1.jpg")
    lines = ["VoxCeleb1_ID,VGGFace1_ID,Gender,Nationality,Set"]
    lines += ["id1,Ann,f,Norway,dev", "id2,Bob,m,USA,test"]
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    return manifest.Options(
        split_csv=[str(folder / "people.csv")],
        audio_root=str(folder / "wav"),
        image_root=str(folder / "faces"),
    )


def _synthetic(folder):
    return manifest.Options(corpus=str(folder / "corpus"), identities=12, overwrite=True)


# What lets a source give its smallest data set: writes it into a folder, returns the options.
EXAMPLES = {"manifest": _manifest, "synthetic": _synthetic, "voxceleb1": _voxceleb1}
ROWS = walk.rows(sources.SOURCES, EXAMPLES)


def test_every_row_has_an_example():
    add = (
        "write a function that makes its smallest data set in a folder and returns its "
        "manifest.Options, and add 'ROW' with it to EXAMPLES in tests/conformance/test_sources.py."
    )
    walk.check_complete(sources.SOURCES, EXAMPLES, "SOURCES", add)


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_unique_named_and_there_and_prepare_takes_every_one(name, tmp_path):
    options = EXAMPLES[name](tmp_path)
    rows = sources.SOURCES[name](options)
    assert {row.split for row in rows} >= {"train", "test"}
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert row.id and len(row.id.split()) == 1 and row.label
        files = [path for path in (row.audio, row.image) if path is not None]
        assert files and all(map(os.path.isfile, files)), row
        assert row.extra.keys() == rows[0].extra.keys()
    assert sources.SOURCES[name](options) == rows  # the same files, in the same order
    report = prepare.prepare(
        rows, prepare.Settings(output=str(tmp_path / "out"), source=name, max_bad_fraction=0)
    )
    index = shards.Index.read(tmp_path / "out")
    assert set(index.id) == {row.id for row in rows}, report
    assert dict(zip(index.id, index.label)) == {row.id: row.label for row in rows}


@pytest.mark.parametrize("name", ROWS)
def test_without_its_flags_a_sentence_names_the_first(name):
    with pytest.raises(registry.UserError, match=f"--source={name} needs --[a-z_]+="):
        sources.SOURCES[name](manifest.Options())
