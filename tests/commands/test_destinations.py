"""Kinds of output by kinds of what is there: a command writes over its own and nothing else."""

import json

import numpy as np
import pytest

from tfav import config_file, files, registry
from tfav.commands import check_data, destinations, model_card
from tfav.data.prepare import records
from tfav.experiment import evaluations
from tfav.export import publish
from tfav.export.serving import deployment
from tfav.inference import artefacts
from tfav.reports import film

PLACES = {
    "run": {"config.json": {}, "metrics.json": {"about": {}, "results": []}},
    "data": {"dataset.json": {}},
    "export": {"parity.json": {}, "golden.json": {}},
    "comparison": {"results.json": {"about": {}, "figures": []}, "table.md": ""},
    "figures": {"metrics.json": {"about": {}, "results": []}},
    "site": {"site.json": {"format": 1, "embedding_space": "0"}},
    "projector": {"projector_config.pbtxt": ""},
    "": {"mine.txt": "", "results.txt": ""},
}


def write(folder, content):
    for name, value in content.items():
        (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return str(folder)


def test_every_kind_of_folder_is_tried():
    assert {kind for kind in PLACES if kind} == set(destinations.FOLDERS)


def test_the_marks_are_the_files_that_are_written():
    marks = {kind: list(its.marks) for kind, its in destinations.FOLDERS.items()}
    assert marks["run"] == [config_file.FILE] and marks["figures"] == [evaluations.OWN]
    assert marks["export"] == [artefacts.PARITY_FILE, artefacts.JOURNAL_FILE]
    written = {publish.LABELS_FILE, publish.GOLDEN_FILE, publish.DRIFT_FILE}
    written |= {deployment.MODELS_FILE, deployment.BATCHING_FILE, *model_card.FILES}
    assert set(destinations.FOLDERS["export"].writes) == {*written, "*.tflite"}
    assert destinations._FILM.decode() == film.MARK
    assert destinations._BAD_ROWS.decode() == ",".join(records.BadRow._fields)
    assert set(check_data._FILES.values()) == set(destinations.FILES) - {"film", "embeddings"}


@pytest.mark.parametrize("there", PLACES)
@pytest.mark.parametrize("kind", destinations.FOLDERS)
def test_a_folder_of_another_kind_is_not_written_into(tmp_path, kind, there):
    place = write(tmp_path, PLACES[there])
    destinations.check_folder("output", str(tmp_path / "new"), kind)
    if there in ("", kind) or (kind, there) == ("run", "figures"):
        destinations.check_folder("output", place, kind)
        return
    words = destinations.FOLDERS[there].words
    with pytest.raises(registry.UserError, match=rf"--output={place} is {words} \(it holds .*: na"):
        destinations.check_folder("output", place, kind)


FOREIGN = [
    (kind, name.replace("*", "audio_float32"))
    for kind, its in destinations.FOLDERS.items()
    for name in its.writes
]


@pytest.mark.parametrize(("kind", "name"), FOREIGN)
@pytest.mark.parametrize("content", ["", "[]", '{"mine": 1}'])
def test_a_file_of_a_name_that_would_be_written_and_is_not_ours_stays(
    tmp_path, kind, name, content
):
    place = write(tmp_path, {name: content})
    with pytest.raises(registry.UserError, match=f"--workdir={place} holds {name} and is not "):
        destinations.check_folder("workdir", place, kind)


@pytest.mark.parametrize("there", PLACES)
def test_a_folder_that_is_replaced_as_a_whole_holds_nothing_else(tmp_path, there):
    names = {"site.json", "index.html"}
    for new in ("new", "empty"):
        destinations.check_replaced("output", str(tmp_path / new), "site", names)
        (tmp_path / "empty").mkdir(exist_ok=True)
    (tmp_path / "empty").rmdir()
    place = write(tmp_path, PLACES[there])
    if there == "site":
        destinations.check_replaced("output", place, "site", names)
        (tmp_path / ".git").mkdir()
    with pytest.raises(registry.UserError, match=f"--output={place} "):
        destinations.check_replaced("output", place, "site", names)


def test_a_page_of_the_users_own_is_not_replaced_by_a_site(tmp_path):
    place = write(tmp_path, {"index.html": "mine"})
    with pytest.raises(registry.UserError, match="as a whole and holds index.html, which is no pa"):
        destinations.check_replaced("output", place, "site", {"site.json", "index.html"})


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    place = write(tmp_path, {"x": ""})
    with pytest.raises(registry.UserError, match=f"--output={place}/x is a file: name a folder"):
        destinations.check_folder("output", f"{place}/x", "figures")


@pytest.mark.parametrize("kind", destinations.FILES)
def test_a_file_of_another_kind_is_not_written_over(tmp_path, kind):
    suffix = destinations.FILES[kind].suffix
    for name in ("x.txt", "x", f"x{suffix}.gz", "index.tsv"):
        with pytest.raises(registry.UserError, match=f"{name} is no {suffix} file, .* end in"):
            destinations.check_file("output", str(tmp_path / name), kind)
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(registry.UserError, match="is a folder: name a file"):
        destinations.check_file("output", str(tmp_path / f"folder{suffix}"), kind)
    destinations.check_file("output", str(tmp_path / f"new{suffix}"), kind)


def test_embeddings_replace_embeddings_and_not_the_weights_of_a_run(tmp_path):
    for name, key in (("weights.npz", "audio/w"), ("x.npz", "embedding_space")):
        files.write_npz(tmp_path / name, {key: np.zeros(1)})
    destinations.check_file("output", str(tmp_path / "x.npz"), "embeddings")
    with pytest.raises(registry.UserError, match="weights.npz is not an output of tfav-embed, and"):
        destinations.check_file("output", str(tmp_path / "weights.npz"), "embeddings")
