"""Every row of `RECIPES` keeps the promises of a recipe."""

import json

import ml_collections
import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tests.conformance import replicas, walk
from tfav import compat, recipes
from tfav.commands import train
from tfav.commands.protocols import table
from tfav.configs import vectors
from tfav.experiment import models
from tfav.training import trainer

NUM_CLASSES = 5
# What differs from the configuration in tests/small.py, the smallest voice-face experiment: the
# parts of a config that are another recipe's own.
TEACHER = {
    "recipe": "mmcosine",
    "modalities": ("image",),
    "model": {"head": "vanilla", "fusion": "concat"},
    "eval": {"protocols": ("classification",)},
}
SETTINGS = {
    "voice_face": {},
    "mmcosine": {
        "model": {"head": "cosine", "fusion": "concat"},
        "loss": {
            "contrastive_weight": 1.0,
            "agreement_weight": 0.5,
            "blending": "equal",
            "modulation": "ogm_ge",
        },
    },
    "dmc": {
        "model": {"num_clusters": 4, "cluster_size": 8},
        "loss": {"margin": 0.5, "negatives": "all"},
    },
    "l3": {"model": {"hidden_size": 32}},
    "infonce": {"model": {}, "loss": {"temperature": 0.2, "max_scale": 20.0}},
    "avts": {"model": {"window_seconds": 0.1, "shift_seconds": 0.05, "hard_share": 0.5}},
    "soundnet": {"model": {"temperature": 1.0}, "first_phase": TEACHER},
    "fop": {"model": {"orthogonality_weight": 1.0}},
    "pins": {"model": {"margin": 0.6, "rise_every": 10}},
    "dimnet": {"model": {"covariates": {"gender": 2}}},
    "cmpc": {"model": {"num_clusters": 2}},
    "self_lifting": {"model": {"num_clusters": 3}},
}
ROWS = walk.rows(recipes.RECIPES, SETTINGS)


def test_every_row_has_settings():
    add = (
        "add 'ROW': {'model': {...}, 'loss': {...}}, its smallest experiment, to SETTINGS in "
        "tests/conformance/test_recipes.py."
    )
    walk.check_complete(recipes.RECIPES, SETTINGS, "RECIPES", add)


def config(name, directory="unused"):
    c = small.config(directory)
    c.recipe = name
    fitting = (p for p, its in table.PROTOCOLS.items() if its.fits(recipes.RECIPES[name], c))
    c.eval.protocols = (next(fitting),)
    for part, fields in SETTINGS[name].items():
        c[part] = ml_collections.ConfigDict(fields)
    return c


def batch(c, rows=4):
    random = np.random.default_rng(0)
    side = c.image.size
    return {
        "audio": random.uniform(-0.3, 0.3, [rows, 3200]).astype(np.float32),
        "image": random.integers(0, 256, [rows, side, side, 3], np.uint8),
        "label": np.arange(rows, dtype=np.int32) % NUM_CLASSES,
    }


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_all_scalars_come_back_one_number_a_row_the_loss_first(name, training):
    recipe = models.model(config(name), NUM_CLASSES)
    assert recipe.scalars[0] == "loss"
    losses = recipe.compute_losses(batch(config(name)), training=training)
    assert set(losses) == set(recipe.scalars)
    for scalar, value in losses.items():
        assert value.shape == [4] and value.dtype == tf.float32, scalar
        assert np.isfinite(value).all(), scalar


@pytest.mark.parametrize("name", ROWS)
def test_the_loss_reaches_every_weight(name):
    recipe = models.model(config(name), NUM_CLASSES)
    variables = [compat.raw(w) for w in recipe.trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(recipe.compute_losses(batch(config(name)), training=True)["loss"])
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        assert gradient is not None and np.isfinite(gradient).all(), variable.name
    named = recipe.named_weights()
    assert {id(v) for v in variables} <= {id(v) for v in named.values()}
    assert len(variables) == len({id(v) for v in variables})


@pytest.mark.parametrize("name", ROWS)
def test_two_replicas_have_the_scalars_and_gradients_of_one(name, mirrored, float64):
    c = config(name)
    c.dtype = "float64"
    given = batch(c)

    def loop(strategy):
        with strategy.scope():
            recipe = models.model(c, NUM_CLASSES)
        return trainer.Trainer(recipe, None, strategy, batch_size=4)

    one = tf.distribute.OneDeviceStrategy("CPU:0")
    expected, gradients = one.run(loop(one).gradients, args=(given,))
    halves = {key: replicas.halves(mirrored, x) for key, x in given.items()}
    scalars, copies = mirrored.run(loop(mirrored).gradients, args=(halves,))
    for scalar, value in expected.items():
        np.testing.assert_allclose(
            replicas.summed(mirrored, scalars[scalar]), value, rtol=1e-10, err_msg=scalar
        )
    for whole, copy in zip(gradients, copies):
        for gradient in mirrored.experimental_local_results(copy):  # summed, on every replica
            error = np.linalg.norm(gradient - whole)
            assert error <= 1e-10 * np.linalg.norm(whole) + 1e-12


# The others tests/recipes/test_methods_of_vectors.py trains until they tell people apart.
@pytest.mark.parametrize("name", [n for n in ROWS if n == "voice_face" or n not in vectors.METHODS])
def test_the_loss_falls_in_fifty_steps(name, tmp_path):
    c = config(name, small.write_dataset(str(tmp_path / "data")))
    c.train.num_steps = c.train.checkpoint_every = 50
    c.train.optimizer, c.train.learning_rate = "adam", 0.003
    c.train.steps_per_call = 10
    train.train(c, str(tmp_path / "run"))
    lines = (tmp_path / "run" / "scalars.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert len(losses) == 5 and losses[-1] < 0.8 * losses[0]
