"""The methods of `configs/vectors.py`, each trained on synthetic vectors and exported."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import replicas
from tfav import recipes, registry
from tfav.commands import report, train
from tfav.configs import vectors as configs
from tfav.data.prepare import dataset, manifest, sources
from tfav.experiment import models
from tfav.export import servable
from tfav.export.lite import tflite
from tfav.inference import embedders
from tfav.layers import covariates
from tfav.losses import pairs
from tfav.recipes import outputs, paired

PEOPLE, SIZE = 24, 8


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Vectors of a person are one hidden vector, mixed for each modality, and noise."""
    folder = tmp_path_factory.mktemp("people")
    random = np.random.default_rng(0)
    hidden = random.normal(size=(PEOPLE, 4))
    own = {}
    for modality in ("audio", "image"):
        mix = random.normal(size=(4, SIZE))
        rows = [(p, t) for p in range(PEOPLE) for t in range(4)]
        noise = 0.1 * random.normal(size=(len(rows), SIZE))
        np.savez(
            folder / f"{modality}.npz",
            id=[f"p{p:02d}/{modality}{t}" for p, t in rows],
            vector=(hidden[[p for p, _ in rows]] @ mix + noise).astype(np.float32),
            gender=["fm"[int(hidden[p, 0] > 0)] for p, _ in rows],
        )
        own[modality] = str(folder / f"{modality}.npz")
    options = manifest.Options(own=own, val_fraction=0.25, test_fraction=0.25)
    found = sources.SOURCES["vectors"].rows(options)
    dataset.prepare(found, dataset.Settings(output=str(folder / "set")))
    return str(folder / "set")


def config(name, data):
    c = configs.get_config(name)
    c.data.directory = data
    c.embedding_size = 8
    for modality in ("audio", "image"):
        c.further[modality].size = SIZE
        c.further[modality].arguments.width = 16
    if "num_clusters" in c.model:
        c.model.num_clusters = 4
    c.train.batch_size, c.train.num_steps, c.train.warmup_steps = 8, 120, 0
    c.train.steps_per_call, c.train.validate_every, c.train.checkpoint_every = 40, 60, 120
    c.train.learning_rate = 5e-3
    c.eval.protocols = ("lists",)
    return c


def test_a_run_on_vectors_that_stops_half_way_ends_as_one_that_does_not(data, tmp_path, forks):
    for workdir, steps in (("whole", 6), ("halves", 2), ("halves", 6)):
        done = forks.run(
            "train",
            "--config=configs/vectors.py:supervised_contrastive",
            f"--workdir={tmp_path / workdir}",
            f"--config.data.directory={data}",
            "--config.deterministic=True",
            *(f"--config.further.{modality}.size={SIZE}" for modality in ("audio", "image")),
            "--config.train.batch_size=8",
            "--config.train.schedule=constant",
            "--config.train.warmup_steps=0",
            f"--config.train.num_steps={steps}",
            "--config.train.validate_every=0",
        )
        assert done.code == 0, done.stderr[-3000:]
    whole, halves = (models.trained(str(tmp_path / name)).recipe for name in ("whole", "halves"))
    other = halves.named_weights()
    assert len(other) > 4
    for name, weight in whole.named_weights().items():
        np.testing.assert_array_equal(weight.numpy(), other[name].numpy(), err_msg=name)


@pytest.mark.parametrize("name", ["cmpc", "self_lifting"])
def test_more_clusters_than_rows_of_a_batch_are_refused_before_a_workdir_is_made(
    name, data, tmp_path
):
    c = config(name, data)
    c.model.num_clusters = 9
    with pytest.raises(registry.UserError, match="batch_size=8 is less than the 9 rows"):
        train.train(c, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", configs.METHODS)
def test_a_method_learns_who_belongs_together_and_is_exported(name, data, tmp_path):
    train.train(config(name, data), str(tmp_path / "run"))
    run = models.trained(str(tmp_path / "run"))
    names = tflite.write(
        servable.Servable(run.recipe), str(tmp_path), audio_samples=0, precisions=("float32",)
    )
    assert sorted(names) == ["audio_float32.tflite", "image_float32.tflite"]
    for modality in ("audio", "image"):
        vectors = np.random.default_rng(1).normal(size=(1, SIZE)).astype(np.float32)
        found = embedders.load(str(tmp_path / f"{modality}_float32.tflite"))
        own = outputs.embedding(run.recipe, modality, {modality: vectors})
        np.testing.assert_allclose(found.embed(modality, {modality: vectors}), own, atol=1e-5)
    lines = (tmp_path / "run" / "scalars.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert all(np.isfinite(line["loss"]) for line in found)
    assert max(line["val/metric"] for line in found if "val/metric" in line) > 0.65  # of 0.5


def test_negatives_of_pins_grow_harder_with_the_training_steps_and_with_no_other(data):
    c = config("pins", data)
    c.model.rise_every = 2
    recipe = models.model(c, 4)
    batch = {
        "audio": np.eye(4, SIZE, dtype=np.float32),
        "image": np.eye(4, SIZE, dtype=np.float32),
        "label": np.arange(4, dtype=np.int32),
    }
    found = []
    for training in [True, True, False, True] + 9 * [True]:
        found.append(recipe.compute_losses(batch, training=training)["hardness"][0].numpy())
    # Step 0, 1: 0.3; from step 2 on 0.4, and so on up to 0.8.
    np.testing.assert_allclose(found[:5], [0.3, 0.3, 0.4, 0.4, 0.4], rtol=1e-6)
    assert found[-1] == pytest.approx(0.8)
    with pytest.raises(registry.UserError, match="first_hardness=0.9 is above last_hardness=0.8"):
        recipes.RECIPES["pins"](recipe.encoders, first_hardness=0.9)


def test_the_fused_vector_of_fop_is_a_share_of_each_side(data):
    recipe = models.model(config("fop", data), 4)
    audio, image = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
    fused = tf.add_n(list(recipe.heads["fusion"]({"audio": audio, "image": image}).values()))
    low, high = np.minimum(*np.tanh([audio, image])), np.maximum(*np.tanh([audio, image]))
    assert (fused.numpy() >= low - 1e-6).all() and (fused.numpy() <= high + 1e-6).all()


def test_a_covariate_that_is_not_known_costs_nothing(data):
    c = config("dimnet", data)
    recipe = models.model(c, 3)
    batch = {
        "audio": np.ones((3, SIZE), np.float32),
        "image": np.ones((3, SIZE), np.float32),
        "label": np.arange(3, dtype=np.int32),
    }
    recipe.read_columns({"gender": ["f", "", "m"]})
    assert recipe.tables["covariates"].classes["gender"].numpy().tolist() == [0, -1, 1]
    found = recipe.compute_losses(batch, training=False)
    assert found["gender"][1] == 0 and min(found["gender"][0], found["gender"][2]) > 0
    np.testing.assert_allclose(found["loss"], found["identity"] + found["gender"])


def test_a_column_of_other_classes_than_the_config_says_is_refused():
    table = covariates.Covariates(3, {"gender": 2})
    for texts in (["a", "b", "c"], ["a", "a", "a"]):
        with pytest.raises(registry.UserError, match="the column 'gender' has [13] different"):
            table.fill({"gender": texts})


def test_data_without_a_covariates_column_are_refused(data, tmp_path):
    c = config("dimnet", data)
    c.model.covariates = {"age": 2}
    with pytest.raises(registry.UserError, match="has no column 'age' that --config.model.cov"):
        train.train(c, str(tmp_path / "run"))


def test_a_page_of_vectors_has_figures_alone_and_no_film(data, tmp_path):
    workdir = str(tmp_path / "run")
    c = config("pins", data)
    c.train.num_steps = c.train.steps_per_call = c.train.validate_every = 10
    c.train.checkpoint_every = 10
    train.train(c, workdir)
    page = str(tmp_path / "page.html")
    list(report.make_report(workdir, output=page))
    text = (tmp_path / "page.html").read_text()
    assert "retrieval mAP" in text and "data:image/jpeg" not in text
    with pytest.raises(
        registry.UserError, match="--video shows voices and faces, and audio and im"
    ):
        list(report.make_report(workdir, output=page, video=str(tmp_path / "film.mp4")))


def test_the_scalars_of_cosines_are_those_of_all_pairs(mirrored):
    random = np.random.default_rng(0)
    audio, image = random.normal(size=(2, 4, 3)).astype(np.float32)
    sides = [tf.math.l2_normalize(x, axis=1) for x in (audio, image)]
    expected = paired.matches(*pairs.compare(*sides, paired.cosines, "all"))
    found = paired.cosine_matches(audio, image)
    halves = [replicas.halves(mirrored, x) for x in (audio, image)]
    both = tf.function(lambda *x: mirrored.run(paired.cosine_matches, args=x))(*halves)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(replicas.joined(mirrored, both[name]), value, rtol=1e-5)
