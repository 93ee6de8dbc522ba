"""From a run's folder and its data set to the page and the film."""

import json
import os
import pathlib
import re
import shutil
import sys

import markupsafe
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import showcases, small, untrained
from tfav import config_file, files, registry
from tfav.commands import report
from tfav.commands.pages import page_kind
from tfav.data import shards
from tfav.experiment import models
from tfav.training import environment, weights_file


def make(*arguments, **options):
    return list(report.make_report(*arguments, **options))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was never trained, on a test split whose items have hostile names."""
    folder = tmp_path_factory.mktemp("report")
    rows = []
    for k, label in enumerate(("ada", showcases.HOSTILE, "cy")):
        extra = {"gender": "fm"[k % 2]}
        for i in range(2):
            audio = np.frombuffer(showcases.pcm(200 + 90 * k + 20 * i), "<i2")
            voice = f"v{k}/{i}{'<script>' * (k == 1)}.wav"
            rows.append(shards.Record(voice, "test", label, audio=audio, extra=extra))
        jpeg = showcases.jpeg((80 * k, 90, 200), small.SIZE)
        side = {"height": small.SIZE, "width": small.SIZE}
        rows.append(shards.Record(f"f{k}.jpg", "test", label, image=jpeg, extra=extra, **side))
    rows.append(shards.Record("only.wav", "voices", "ada", audio=audio, extra={"gender": "f"}))
    data = str(folder / "data")
    shards.write(data, rows, columns=["gender"])
    os.makedirs(os.path.join(data, "lists"))
    workdir = str(folder / "run")
    os.makedirs(workdir)
    c = small.config(data)
    files.write_text(os.path.join(workdir, "config.json"), config_file.to_json(c))
    environment.record(workdir, environment.facts(step=0, labels=["a", "b", "c"], data_sha256=""))
    recipe = models.model(c, 3)
    weights_file.save(
        os.path.join(workdir, weights_file.FILE), recipe.named_weights(), write=True, step=7
    )
    return workdir


def data_of(path) -> dict:
    text = pathlib.Path(path).read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text)[1])


def test_without_lists_the_whole_split_is_the_gallery(run):
    (line,) = make(run, ["test"])
    path = os.path.join(run, "report.html")
    assert line.startswith(f"wrote {path} (") and f"open file://{path}" in line
    found = data_of(path)
    assert [(task["name"], task["total"]) for task in found["tasks"]] == [
        ("Voice → face", 6),
        ("Face → voice", 3),
    ]
    assert found["genders"] == ["female", "male"]
    ids = {item["id"] for item in found["items"]}
    assert ids == {f"f{k}.jpg" for k in range(3)} | {
        f"v{k}/{i}{'<script>' * (k == 1)}.wav" for k in range(3) for i in range(2)
    }
    # What is shown for an id is that id's own: the pictures' colours and the voices' pitch differ.
    assert len({item["src"] for item in found["items"]}) == 9
    text = pathlib.Path(path).read_text("utf-8")
    assert "No query lists here" in text and "step 7" in text
    assert text.count("<script") == 2


def test_a_retrieval_list_says_what_is_looked_up_where(run, tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "retrieval_v2f_test.txt").write_text("v0/0.wav v2/1.wav\nf0.jpg f1.jpg\n")
    (folder / "verify_v2f_test.txt").write_text("v0/0.wav f0.jpg\nv0/0.wav f1.jpg\n")
    output = tmp_path / "deep" / "page.html"
    make(run, ["test"], str(output), lists_dir=str(folder), num_probes=1)
    (task,) = data_of(output)["tasks"]
    assert task["total"] == 2 and len(task["probes"]) == 1
    text = output.read_text("utf-8")
    assert "1 of 2 probes have no match" in text  # cy's face is not in the gallery
    assert "verification AUC" in text and "Verification (ROC)" in text
    assert os.listdir(tmp_path / "deep") == ["page.html"]


def test_an_older_page_is_replaced_and_kept_when_the_new_one_fails(run, tmp_path, monkeypatch):
    output = tmp_path / "page.html"
    old = '<!doctype html><meta name="generator" content="tfav-report">'
    output.write_text(old)
    with pytest.raises(registry.UserError, match="--max_mb=0.001"):
        make(run, ["test"], str(output), max_megabytes=0.001)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(environment.os, "replace", full)
        with pytest.raises(OSError, match=r"page\.html"):
            make(run, ["test"], str(output))
    assert output.read_text() == old and os.listdir(tmp_path) == ["page.html"]
    make(run, ["test"], str(output))
    assert output.read_text().startswith("<!doctype html>") and output.read_text() != old


@pytest.mark.parametrize("name", ["index.csv", "thesis.txt", "page", "mine.html"])
def test_no_file_of_another_kind_becomes_a_page(run, tmp_path, name):
    (tmp_path / name).write_text("id,split\n")
    said = "not a page of tfav, and is not" if "html" in name else "let its name end in"
    with pytest.raises(registry.UserError, match=f"--output=.*{name} is .*{said}"):
        make(run, ["test"], str(tmp_path / name))
    assert (tmp_path / name).read_text() == "id,split\n"


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        (["seen"], r"list of tag 'seen', and no split of that name in .* is there.*\(splits: test"),
        (["voices"], r"no split of that name in .* has image"),
    ],
)
def test_nothing_to_show_is_a_sentence(run, tags, says):
    with pytest.raises(registry.UserError, match=says):
        make(run, tags)


def test_what_cannot_be_written_is_said_before_the_work(run, tmp_path, monkeypatch):
    monkeypatch.setattr(report.models, "trained", lambda _: pytest.fail("too late"))
    with pytest.raises(registry.UserError, match="is a folder"):
        make(run, ["test"], str(tmp_path))
    with pytest.raises(registry.UserError, match="--tags is empty"):
        make(run, [])
    with pytest.raises(registry.UserError, match=r"no \.mp4 file"):
        make(run, ["test"], video="film.avi")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(registry.UserError, match="extra `video`"):
        make(run, ["test"], video="film.mp4")


def test_without_media_there_are_figures_and_no_face_voice_or_id(run, tmp_path):
    path = tmp_path / "p.html"
    make(run, ["test"], str(path), media=False)
    text = path.read_text("utf-8")
    assert not re.search("data:(audio|image/(?!svg))|<audio|<script|media-src", text)
    index = shards.Index.read(os.path.join(os.path.dirname(run), "data"))
    assert not [name for name in index.id.tolist() if markupsafe.escape(name) in text]
    for label in (">ada", ">cy", "&lt;img"):
        assert label not in text
    assert "Voice → face" in text and "Retrieval (CMC)" in text
    assert "without any image, clip or id of the data" in text
    assert os.listdir(tmp_path) == ["p.html"]
    with pytest.raises(registry.UserError, match="--no_media leaves faces and voices out, and --v"):
        make(run, ["test"], str(path), video="film.mp4", media=False)


def test_tensorboard_gets_the_items_of_the_page_and_a_sheet(run, tmp_path):
    from google.protobuf import text_format
    from tensorboard.plugins.projector import projector_config_pb2

    for _ in range(2):  # the second takes the place of the first
        lines = make(run, ["test"], str(tmp_path / "p.html"), tensorboard=True)
    folder = pathlib.Path(run, "tensorboard", "report")
    assert lines[1].startswith(f"wrote {folder} (9 items): tensorboard --logdir=")
    assert [path.name for path in folder.parent.iterdir()] == ["report"]
    text = (folder / "projector_config.pbtxt").read_text()
    (told,) = text_format.Parse(text, projector_config_pb2.ProjectorConfig()).embeddings
    vectors = np.loadtxt(folder / told.tensor_path, delimiter="\t")
    assert vectors.shape == (9, small.config("x").embedding_size)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    columns = [x.split("\t") for x in (folder / told.metadata_path).read_text().splitlines()]
    assert columns[0] == ["id", "label", "modality", "gender"] and len(columns) == 10
    assert {len(cells) for cells in columns} == {4}
    side = told.sprite.single_image_dim[0]
    with Image.open(folder / told.sprite.image_path) as sheet:
        assert sheet.size == (3 * side, 3 * side)
    (events,) = folder.glob("*tfevents*")
    tags = {
        value.tag: value.tensor.string_val[:2]
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert tags["retrieval"] == [b"1280", b"1080"]  # six probes, two beside each other
    with pytest.raises(registry.UserError, match="out, and --tensorboard shows them"):
        make(run, ["test"], str(tmp_path / "p.html"), tensorboard=True, media=False)
    shutil.rmtree(folder.parent)


def test_a_page_that_shows_media_all_the_same_is_not_written(run, tmp_path, monkeypatch):
    shown = "<img src='data:image/jpeg;base64,AA'>"
    monkeypatch.setattr(report.PAGES["lists"], "build", lambda *_: shown)
    with pytest.raises(registry.UserError, match="let its build heed frame.media"):
        make(run, ["test"], str(tmp_path / "p.html"), media=False)
    assert os.listdir(tmp_path) == []


def test_a_run_of_tfav_compare_is_called_by_its_variant_and_seed():
    assert page_kind.title_of("runs/cmp/demo_vanilla/seed0/") == "demo_vanilla/seed0"
    assert page_kind.title_of("runs/birds") == "birds"


def test_the_page_ends_with_how_training_went(run, tmp_path):
    log = pathlib.Path(run, "scalars.jsonl")
    log.write_text('{"step": 5, "loss": 2.0, "implicit": 1.5, "implicit_floor": 1.0}\n')
    try:
        make(run, ["test"], str(tmp_path / "p.html"))
    finally:
        log.unlink()
    text = (tmp_path / "p.html").read_text("utf-8")
    assert "Learning curves" in text and "floor of implicit by theory 1 at step 5" in text


def test_the_film_is_written_beside_the_page(run, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    film = tmp_path / "retrieval_result.mp4"
    lines = make(run, ["test"], str(tmp_path / "p.html"), num_probes=2, video=str(film))
    assert re.fullmatch(rf"wrote {film} \(\d+ seconds\)", lines[1])
    assert film.read_bytes()[4:8] == b"ftyp"
    make(run, ["test"], str(tmp_path / "p.html"), num_probes=2, video=str(film))
    assert sorted(os.listdir(tmp_path)) == ["p.html", "retrieval_result.mp4"]


def test_a_film_that_is_not_ours_stays(run, tmp_path):
    film = tmp_path / "holiday.mp4"
    film.write_bytes(b"\0\0\0\x18ftypisom")
    with pytest.raises(
        registry.UserError, match="holiday.mp4 is not a film of tfav-report, and is"
    ):
        make(run, ["test"], str(tmp_path / "p.html"), video=str(film))
    assert film.read_bytes() == b"\0\0\0\x18ftypisom" and os.listdir(tmp_path) == ["holiday.mp4"]


def test_a_list_that_only_asks_with_faces_makes_no_film(run, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "retrieval_f2v_test.txt").write_text("f0.jpg\nv0/0.wav v2/1.wav\n")
    with pytest.raises(registry.UserError, match="no retrieval from voice to face"):
        make(
            run,
            ["test"],
            str(tmp_path / "p.html"),
            lists_dir=str(folder),
            video=str(tmp_path / "a.mp4"),
        )


# Runs that are not evaluated on lists -----------------------------------------------------------


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Folder of runs that were never trained: of each recipe one, on rows of audio and image."""
    folder = tmp_path_factory.mktemp("others")
    data = untrained.write_data(folder / "data")
    for recipe in ("infonce", "dmc", "mmcosine"):
        protocols = ("classification",) if recipe == "mmcosine" else ("correspondence",)
        untrained.write(folder / recipe, data, recipe, **{"eval.protocols": protocols})
        (folder / recipe / "scalars.jsonl").write_text('{"step": 5, "loss": 2.0}\n')
    return folder


def test_tensorboard_gets_the_rows_of_a_run_without_lists(others, tmp_path):
    page = str(tmp_path / "p.html")
    lines = make(str(others / "infonce"), ["test"], page, tensorboard=True)
    folder = others / "infonce" / "tensorboard" / "report"
    index = shards.Index.read(str(others / "data"))
    count = 2 * int(np.sum(index.split == "test"))  # each row has audio and an image
    assert lines[-1].startswith(f"wrote {folder} ({count} items): tensorboard --logdir=")
    vectors = np.loadtxt(folder / "vectors.tsv", delimiter="\t")
    assert len(vectors) == count
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    rows = [line.split("\t") for line in (folder / "items.tsv").read_text().splitlines()[1:]]
    assert [row[2] for row in rows] == ["audio"] * (count // 2) + ["image"] * (count // 2)
    assert {row[0] for row in rows} == set(index.id[index.split == "test"])
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(registry.UserError, match="replaced as a whole and holds notes.txt"):
        make(str(others / "infonce"), ["test"], page, tensorboard=True)
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("recipe", "why"), [("dmc", "dmc scores pairs"), ("mmcosine", "mmcosine tells classes apart")]
)
def test_tensorboard_is_refused_with_the_reason_where_no_space_is_shared(
    others, tmp_path, recipe, why
):
    workdir = str(others / recipe)
    sentence = f"{workdir} has none: the recipe {why}, and its modalities share no space: leave it"
    with pytest.raises(registry.UserError, match=sentence):
        make(workdir, ["test"], str(tmp_path / "p.html"), tensorboard=True)
    assert not os.listdir(tmp_path)
