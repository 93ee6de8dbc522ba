"""At no door does a model take vectors of another embedding space than it was trained on."""

import json
import os
import shutil

import numpy as np
import pytest

import tfav
from tests.once import once
from tfav import registry, states
from tfav.commands import (
    blind_pairs,
    embed,
    embed_shards,
    evaluate,
    export,
    load,
    model_card,
    report,
    search,
)
from tfav.commands import train as training
from tfav.configs import vectors as configs
from tfav.data import shards
from tfav.data.prepare import dataset, manifest, sources
from tfav.experiment import models
from tfav.inference import artefacts, file_embedding, input_files, recipe_embedder
from tfav.training import environment

MINE, OTHER = "a" * 16, "b" * 16
SPACES = {"same": MINE, "other": OTHER, "none": ""}
PEOPLE, SIZE = 8, 4
MODALITIES = ("audio", "image")


def table(path, modality, space):
    """Writes vectors as tfav-embed does; without a space as anybody else would."""
    ids = np.array([f"p{p}/{modality}{t}" for p in range(PEOPLE) for t in range(2)])
    vectors = np.random.default_rng(len(modality)).normal(size=(len(ids), SIZE))
    arrays = {f"{modality}_id": ids, modality: vectors.astype(np.float32)}
    np.savez(path, **arrays, **({"embedding_space": np.array(space)} if space else {}))
    return str(path)


def config(data):
    c = configs.get_config("supervised_contrastive")
    c.data.directory = data
    c.embedding_size = 4
    for modality in MODALITIES:
        c.further[modality].size = SIZE
        c.further[modality].arguments.width = 4
    c.train.batch_size, c.train.num_steps, c.train.warmup_steps = 4, 1, 0
    c.train.schedule, c.train.steps_per_call = "constant", 1
    c.train.validate_every, c.train.checkpoint_every = 0, 1
    c.eval.protocols, c.eval.num_bootstrap = ("lists",), 0
    return c


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    def make(folder):
        for name, space in SPACES.items():
            os.makedirs(folder / name)
            own = {m: table(folder / name / f"{m}.npz", m, space) for m in MODALITIES}
            options = manifest.Options(own=own, val_fraction=0.25, test_fraction=0.25)
            rows = sources.SOURCES["vectors"].rows(options)
            dataset.prepare(rows, dataset.Settings(output=str(folder / name / "set")))
        training.train(config(str(folder / "same" / "set")), str(folder / "run"))
        export.export(
            str(folder / "run"), str(folder / "export"), precisions=("float32",), audio_seconds=1.0
        )
        trials = "".join(f"{p} p{p}/audio0 p{p}/image0\n" for p in range(2))
        (folder / "pairs.txt").write_text(trials)

    return once(tmp_path_factory, "vector_spaces", make)[0]


def embedded(made, model, name, out):
    inputs = [str(made / name / "audio.npz")]
    return embed.embed(str(made / model), inputs, str(out / "e.npz"), 0.0, False, False)


def searched(made, name):
    both = [str(made / name / f"{m}.npz@{m}") for m in MODALITIES]
    return search.search(both[:1], both[1:], str(made / "run"))


def given_a_row(made, name):
    row = f"{made / name / 'audio.npz'}@audio#p0/audio0"
    return file_embedding.load(load.embedder(str(made / "run")), "audio", row)


def scored(made, name, out):
    whole = {}
    for modality in MODALITIES:  # a table of both, as one model embeds them
        with np.load(made / name / f"{modality}.npz") as one:
            whole |= dict(one)
    np.savez(out / "both.npz", **whole)
    pairs, root = str(made / "pairs.txt"), str(out / "both.npz")
    return blind_pairs.score(str(made / "run"), pairs, root, str(out / "scores.txt"))


def trained_on(made, name, out, **tables):
    c = config(str(made / name / "set"))
    c.train.update(tables)
    return training.train(c, str(out / "next")) or True


def resumed(made, name, out):
    """Goes on with data of another space that lies as the old did, byte for byte of its index."""
    shutil.copytree(made / "run", out / "run")
    c = config(str(made / name / "set"))
    c.train.num_steps = 2
    return training.train(c, str(out / "run")) or True


def of(made, name):
    return str(made / name / "set")


# Door to a call with the tables or the data of a name, into a folder.
DOORS = {
    "tfav-embed, a run": lambda made, n, out: embedded(made, "run", n, out),
    "tfav-embed, a SavedModel": lambda made, n, out: embedded(made, "export", n, out),
    "tfav-embed, a .tflite": lambda made, n, out: embedded(
        made, "export/audio_float32.tflite", n, out
    ),
    "tfav-embed --runner, a table": lambda made, n, out: embed_shards.embed(
        str(made / "run"), [str(made / n / "audio.npz")], str(out / "shards"), 0.0
    ),
    "tfav-embed --runner, a data set": lambda made, n, out: embed_shards.embed(
        str(made / "run"), [of(made, n)], str(out / "shards"), 0.0
    ),
    "tfav-search": lambda made, n, out: searched(made, n),
    "tfav.load, a table": lambda made, n, out: load.load(made / "run").embed(
        made / n / "image.npz"
    ),
    "tfav.load, a row": lambda made, n, out: given_a_row(made, n),
    "tfav-embed --pairs": scored,
    "tfav-eval": lambda made, n, out: list(
        evaluate.evaluate([str(made / "run")], ["test"], directory=of(made, n), output=str(out))
    ),
    "tfav-report": lambda made, n, out: list(
        report.make_report(str(made / "run"), directory=of(made, n), output=str(out / "r.html"))
    ),
    "tfav-report --baseline": lambda made, n, out: list(
        report.make_report(
            str(made / "run"),
            directory=of(made, n),
            output=str(out / "r.html"),
            baseline=str(made / "run"),
        )
    ),
    "tfav-export": lambda made, n, out: export.export(
        str(made / "run"), str(out / "export"), of(made, n), precisions=("float32",)
    ),
    "tfav-train, on what another run found": lambda made, n, out: trained_on(
        made, n, out, tables_from=str(made / "run")
    ),
    "tfav-train, on its file": lambda made, n, out: trained_on(
        made, n, out, tables_from=str(made / "run" / "weights.npz")
    ),
    "tfav-train, going on": resumed,
}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("door", DOORS)
def test_a_door_takes_vectors_of_its_own_space_and_of_none(door, name, made, tmp_path):
    if door.startswith("tfav-train, on ") and name != "other":
        with pytest.raises(registry.UserError, match="takes no weights over"):  # behind the door
            DOORS[door](made, name, tmp_path)
        return
    if name != "other":
        assert DOORS[door](made, name, tmp_path) is not None
        return
    with pytest.raises(registry.UserError) as refusal:
        DOORS[door](made, name, tmp_path)
    said = str(refusal.value)
    assert f"vectors of the embedding space {OTHER} and this model was trained on those" in said
    assert MINE in said and "name a model that was trained on those of" in said
    assert said.startswith((str(made / "other"), str(tmp_path / "both.npz")))
    assert not (tmp_path / "e.npz").exists() and not (tmp_path / "r.html").exists()
    assert not (tmp_path / "shards").exists() and not (tmp_path / "metrics.json").exists()


def test_data_run_and_export_keep_the_space_and_leave_it_out_where_there_is_none(made):
    want = dict.fromkeys(MODALITIES, MINE)
    info = json.loads((made / "same" / "set" / "dataset.json").read_text())
    assert info["vector_spaces"] == shards.Index.read(made / "same" / "set").vector_spaces == want
    assert environment.vector_spaces(str(made / "run")) == want
    assert artefacts.read_parity(str(made / "export")).content["vector_spaces"] == want
    assert json.loads((made / "export" / model_card.FILES[1]).read_text())["vector_spaces"] == want
    assert (
        f"Takes audio vectors of the embedding space: {MINE}"
        in (made / "export" / model_card.FILES[0]).read_text()
    )
    for model in ("run", "export", "export/image_float32.tflite"):
        for spec in load.embedder(str(made / model)).items.values():
            assert spec.vector_space == MINE
    assert "vector_spaces" not in json.loads((made / "none" / "set" / "dataset.json").read_text())
    assert shards.Index.read(made / "none" / "set").vector_spaces == {}


def test_a_run_of_before_it_was_noted_loads_and_takes_vectors_of_any_space(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "run")
    (start,) = environment.starts(str(tmp_path / "run"))
    del start["vector_spaces"]
    states.write(str(tmp_path / "run" / environment.FILE), {"starts": [start]})
    run = models.trained(str(tmp_path / "run"))
    embedder = recipe_embedder.RecipeEmbedder(run.recipe)
    assert all("vector_space" not in spec.facts() for spec in embedder.items.values())
    found = input_files.find([str(made / "other" / "audio.npz")], embedder.items)
    assert len(found["audio"]) == 2 * PEOPLE


def test_a_run_that_went_on_with_vectors_of_no_name_keeps_its_space(made, tmp_path):
    resumed(made, "none", tmp_path)
    starts = environment.starts(str(tmp_path / "run"))
    assert ["vector_spaces" in start for start in starts] == [True, False]
    assert environment.vector_spaces(str(tmp_path / "run")) == dict.fromkeys(MODALITIES, MINE)


@pytest.mark.parametrize("name", ["run", "export", "export/audio_float32.tflite"])
def test_vectors_of_another_size_or_without_a_value_are_refused_as_arrays_too(made, name):
    model = tfav.load(made / name)
    for vector, said in (
        (np.zeros(SIZE + 1, np.float32), r"item 0 is float32 \[5\]: give audio as float32 \[4\]"),
        (np.full(SIZE, np.nan, np.float32), "item 0 holds NaN or infinite values"),
    ):
        with pytest.raises(registry.UserError, match=said):
            model.embed(vector, modality="audio")


def test_vectors_of_another_size_than_the_config_says_leave_no_workdir(made, tmp_path):
    c = config(str(made / "same" / "set"))
    c.further.audio.size = SIZE + 1
    with pytest.raises(registry.UserError, match="set size and sequence of --config.further.audio"):
        training.train(c, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
