"""Embeddings in shards: what one command would give, whole after any kill, on Beam too."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests import untrained
from tests.cases import waves
from tests.hostile import media
from tfav import files, registry
from tfav.commands import embed, embed_jobs, embed_shards
from tfav.data import shards
from tfav.data.prepare.sources import csv_manifest
from tfav.inference import embeddings_file

NUM_FILES = 7


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> pathlib.Path:
    """A data set, an untrained run, seven recordings of unlike pitch and an image."""
    folder = tmp_path_factory.mktemp("shards")
    data = untrained.write_data(folder / "data")
    untrained.write(folder / "run", str(data), "voice_face")
    (folder / "media").mkdir()
    import soundfile

    for k in range(NUM_FILES):
        wave = np.roll(waves.voice(seconds=0.5), 100 * k) * (1.0 - 0.1 * k)
        soundfile.write(folder / "media" / f"{k}.wav", wave, waves.RATE_HZ)
    (folder / "media" / "face.png").write_bytes(media._image(".png"))
    return folder


@pytest.fixture(autouse=True)
def of_three(monkeypatch):
    monkeypatch.setattr(embed_jobs, "ROWS", 3)


def _run(place, output, inputs=None, bad=0.0, **more):
    sources = [str(inputs or place / "media")]
    return embed_shards.embed(str(place / "run"), sources, str(output), bad, **more)


def test_the_shards_hold_what_one_file_would(place, tmp_path):
    report = _run(place, tmp_path / "out")
    assert report["rows"] == {"audio": NUM_FILES, "image": 1} and report["shards"] == 4
    assert json.loads((tmp_path / "out" / "embedded.json").read_text()) == report
    one = str(tmp_path / "x.npz")
    embed.embed(str(place / "run"), [str(place / "media")], one, 0.0, False, False)
    whole, parts = embeddings_file.read(one), embeddings_file.read(str(tmp_path / "out"))
    assert parts.embedding_space == whole.embedding_space == report["embedding_space"]
    assert parts.ids == whole.ids and parts.shares_space == whole.shares_space
    for modality, vectors in whole.vectors.items():
        np.testing.assert_allclose(parts.vectors[modality], vectors, atol=1e-5)


def test_a_stopped_command_goes_on_and_makes_no_shard_twice(place, tmp_path, monkeypatch):
    made = []
    make = embed_jobs.make

    def stop(job):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(job.path)
        make(job)

    monkeypatch.setattr(embed_jobs, "make", stop)
    with pytest.raises(KeyboardInterrupt):
        _run(place, tmp_path / "out")
    (tmp_path / "out" / f".{'0' * 32}.npz.tmp").write_bytes(b"half")  # as of a killed worker
    times = {path: os.stat(path).st_mtime_ns for path in made}
    monkeypatch.setattr(embed_jobs, "make", make)
    assert _run(place, tmp_path / "out")["made_now"] == 2
    assert {path: os.stat(path).st_mtime_ns for path in made} == times
    assert len(list((tmp_path / "out").iterdir())) == 5  # four shards and the report


def test_a_file_that_has_changed_is_embedded_anew_and_its_old_shard_goes(place, tmp_path):
    shutil.copytree(place / "media", tmp_path / "media")
    _run(place, tmp_path / "out", tmp_path / "media")
    (tmp_path / "media" / "6.wav").write_bytes((tmp_path / "media" / "0.wav").read_bytes())
    report = _run(place, tmp_path / "out", tmp_path / "media")
    assert (report["made_now"], report["shards"]) == (1, 4)
    found = embeddings_file.read(str(tmp_path / "out"))
    first, last = (found.vectors["audio"][found.ids["audio"].index(f"{k}.wav")] for k in (0, 6))
    np.testing.assert_allclose(first, last, atol=1e-6)


def test_a_manifest_and_a_data_set_are_inputs(place, tmp_path):
    path = place / "mine.csv"
    path.write_text("id,split,label,audio\na,train,p0,media/0.wav\nb,train,p1,media/1.wav\n")
    report = _run(place, tmp_path / "a", rows=csv_manifest.read(path))
    assert report["rows"] == {"audio": 2}
    assert embeddings_file.read(str(tmp_path / "a")).ids == {"audio": ["a", "b"]}
    report = _run(place, tmp_path / "b", place / "data")
    index = shards.Index.read(place / "data")
    assert report["rows"] == {"audio": len(index), "image": len(index)}
    assert embeddings_file.read(str(tmp_path / "b")).ids["image"] == index.id.tolist()


def test_a_data_set_is_embedded_from_wherever_tensorflow_reads_files(place, tmp_path):
    _run(place, tmp_path / "here", place / "data")
    far = "ram://embedded/data"
    tf.io.gfile.makedirs(far)
    for path in (p for p in (place / "data").iterdir() if p.is_file()):
        tf.io.gfile.copy(str(path), f"{far}/{path.name}")
    here = embeddings_file.read(str(tmp_path / "here"))
    for name, data in (("uri", f"file://{place}/data"), ("ram", far)):
        _run(place, tmp_path / name, data)
        there = embeddings_file.read(str(tmp_path / name))
        assert there.ids == here.ids
        for modality, vectors in here.vectors.items():
            np.testing.assert_allclose(there.vectors[modality], vectors, atol=1e-6)


def test_files_that_cannot_be_embedded_are_counted_or_stop_the_command(place, tmp_path):
    shutil.copytree(place / "media", tmp_path / "media")
    for k in range(3):  # a whole shard of them
        (tmp_path / "media" / f"{k}.wav").write_bytes(b"no sound")
    with pytest.raises(
        registry.UserError, match=r"0.wav .* \(3 of 8 files\).*max_bad_fraction=0.4"
    ):
        _run(place, tmp_path / "out", tmp_path / "media")
    assert not (tmp_path / "out" / "embedded.json").exists()
    report = _run(place, tmp_path / "out", tmp_path / "media", bad=0.4)
    assert report["made_now"] == 0 and report["rows"] == {"audio": 4, "image": 1}
    assert [os.path.basename(bad["path"]) for bad in report["left_out"]] == [
        "0.wav",
        "1.wav",
        "2.wav",
    ]


def test_a_folder_of_something_else_and_shards_of_two_spaces_are_refused(place, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(registry.UserError, match="holds thesis.txt, which is no shard"):
        _run(place, tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    _run(place, tmp_path / "out")
    (shard, *_) = sorted((tmp_path / "out").glob("audio-*.npz"))
    with np.load(shard) as found:
        arrays = {name: found[name] for name in found.files}
    files.write_npz(shard, {**arrays, "embedding_space": np.array("another")})
    with pytest.raises(
        registry.UserError, match="is of another embedding space|embedding space an"
    ):
        _run(place, tmp_path / "out")
    with pytest.raises(registry.UserError, match="space"):
        embeddings_file.read(str(tmp_path / "out"))


def test_beam_makes_the_same_shards(place, tmp_path):
    pytest.importorskip("apache_beam")
    _run(place, tmp_path / "here")
    _run(place, tmp_path / "beam", runner="direct")
    names = [sorted(p.name for p in (tmp_path / x).glob("*.npz")) for x in ("here", "beam")]
    assert names[0] == names[1]
    here, there = (embeddings_file.read(str(tmp_path / x)) for x in ("here", "beam"))
    for modality, vectors in here.vectors.items():
        np.testing.assert_allclose(there.vectors[modality], vectors, atol=1e-5)


@pytest.fixture
def job_service():
    """Address of the portable runner that Beam's package holds, in a process of its own."""
    pytest.importorskip("apache_beam")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    module = "apache_beam.runners.portability.local_job_service_main"
    process = subprocess.Popen(
        [sys.executable, "-m", module, f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"localhost:{port}"
    process.terminate()
    process.wait()


def test_a_portable_runner_makes_the_same_shards(place, tmp_path, job_service):
    _run(place, tmp_path / "here")
    flags = [f"--job_endpoint={job_service}", "--environment_type=LOOPBACK"]
    _run(place, tmp_path / "beam", runner="portable", flags=flags)
    here, there = (embeddings_file.read(str(tmp_path / x)) for x in ("here", "beam"))
    assert there.embedding_space == here.embedding_space and there.ids == here.ids
    for modality, vectors in here.vectors.items():
        np.testing.assert_allclose(there.vectors[modality], vectors, atol=1e-5)


def test_without_beam_a_sentence_names_the_extra(place, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(registry.UserError, match=r"pip install 'tfav\[beam\]'"):
        _run(place, tmp_path / "out", runner="direct")
