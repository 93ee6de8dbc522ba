"""One, two and four replicas of the same batch of 64: how far their steps lie apart.

Called as `python -m tests.training.matrix OUTPUT` by `test_replica_matrix`. Writes a JSON object,
case to number of replicas to the largest relative difference from one replica: of the loss and the
gradients of the first step (float64), and of weights and slots after ten steps (float64, or float32
by optimizer).
"""

import json
import os
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import keras
import numpy as np
import tensorflow as tf

from tests.conformance import test_recipes
from tests.training import linear
from tfav import compat, recipes
from tfav.experiment import models
from tfav.losses import alignment
from tfav.training import trainer

ROWS, CLASSES, REPLICAS = 64, 24, (1, 2, 4)
LOSSES = [name for name in alignment.ALIGNMENT if not (compat.KERAS_3 and name in alignment.ADDONS)]
MARGIN = {"margin_kind": "additive_angular", "margin": 0.2, "margin_warmup_steps": 3}

# Of encoders that are a matrix each: every loss, head and state.
LINEAR = {
    **{f"loss {name}": ("voice_face", {"alignment": name}) for name in LOSSES},
    "plain": ("voice_face", {"normalized": False}),
    "margin": ("voice_face", {"sub_centers": 2, "scale": 4.0, **MARGIN}),
    "identity weights grow": ("voice_face", {"reweighting": "grow"}),
    "identity weights, legacy": ("voice_face", {"reweighting": "grow", "legacy_weighting": True}),
    "sampled shared head": ("voice_face", {"sampled": 0.2, "reweighting": "grow", **MARGIN}),
    "sampled cosine head": (
        "mmcosine",
        {"sampled": 0.2, "blending": "equal", "scale": 4.0, **MARGIN},
    ),
    "vanilla": ("mmcosine", {"head": "vanilla", "agreement_weight": 0.5}),
    "gated": ("mmcosine", {"fusion": "gated", "contrastive_weight": 1.0}),
    "ogm with film": ("mmcosine", {"fusion": "film", "modulation": "ogm"}),
    "ogm_ge with film": ("mmcosine", {"fusion": "film", "modulation": "ogm_ge"}),
}
# Of real encoders with their batch norm: every recipe, and the states that `SETTINGS` lacks.
WHOLE = {
    **{name: (name, {}) for name in recipes.RECIPES},
    "dmc, one derangement": ("dmc", {"loss.negatives": "derangement"}),
    "mmcosine, film": ("mmcosine", {"model.fusion": "film"}),
}
OPTIMIZERS = ["sgd", "adam", *(["lamb"] if compat.KERAS_3 else ["rectified_adam", "lookahead"])]


def _strategy(replicas):
    if replicas == 1:
        return tf.distribute.OneDeviceStrategy("CPU:0")
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])


def _apart(found, expected):
    """Returns the largest distance of arrays from others, relative to these or to a thousandth."""
    least = 1e-3 * max(np.linalg.norm(value) for value in expected)
    each = [
        np.linalg.norm(np.asarray(a, np.float64) - b) / max(np.linalg.norm(b), least)
        for a, b in zip(found, expected)
    ]
    assert len(found) == len(expected)
    return float(max(each))


def _first(strategy, loop, given):
    """Returns the loss and the gradients of a batch, each summed over replicas."""
    parts = len(strategy.experimental_local_results(strategy.run(lambda: 0)))
    shared = {
        key: strategy.experimental_distribute_values_from_function(
            lambda context, x=x: tf.constant(np.split(x, parts)[context.replica_id_in_sync_group])
        )
        for key, x in given.items()
    }
    scalars, gradients = strategy.run(loop.gradients, args=(shared,))
    loss = sum(x.numpy() for x in strategy.experimental_local_results(scalars["loss"]))
    local = [strategy.experimental_local_results(g)[0] for g in gradients]
    return [loss, *(tf.convert_to_tensor(getattr(g, "values", g)).numpy() for g in local)]


def _compare(name, results, found, expected):
    for replicas, value in found.items():
        if replicas > 1:
            results.setdefault(name, {})[str(replicas)] = _apart(value, expected)


def main(output: str) -> None:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
    )
    results: dict[str, dict[str, float]] = {}
    strategies = {n: _strategy(n) for n in REPLICAS}
    keras.mixed_precision.set_global_policy("float64")
    for case, (name, arguments) in LINEAR.items():
        first, ten = {}, {}
        for n, strategy in strategies.items():
            loop = linear.loop(strategy, name, CLASSES, ROWS, **arguments)
            before = {k: v.numpy() for k, v in loop.recipe.named_weights().items()}
            first[n] = _first(strategy, loop, linear.batch(ROWS, CLASSES))
            for k, variable in loop.recipe.named_weights().items():
                variable.assign(before[k])
            loop.run(linear.batches(strategy, CLASSES, ROWS), 10)
            ten[n] = list(linear.state(loop).values())
        _compare(f"first: {case}", results, first, first[1])
        _compare(f"ten: {case}", results, ten, ten[1])
    for case, (name, changes) in WHOLE.items():
        c = test_recipes.config(name)
        c.dtype = "float64"
        for field, value in changes.items():
            part, _, key = field.partition(".")
            c[part][key] = value
        first = {}
        for n, strategy in strategies.items():
            with strategy.scope():
                recipe = models.model(c, test_recipes.NUM_CLASSES)
            loop = trainer.Trainer(recipe, None, strategy, batch_size=ROWS)
            first[n] = _first(strategy, loop, test_recipes.batch(c, ROWS))
        _compare(f"first: {case}", results, first, first[1])
    keras.mixed_precision.set_global_policy("float32")
    for optimizer in OPTIMIZERS:
        ten = {}
        for n, strategy in strategies.items():
            loop = linear.loop(strategy, "voice_face", CLASSES, ROWS, optimizer=optimizer)
            loop.run(linear.batches(strategy, CLASSES, ROWS), 10)
            ten[n] = [v.numpy() for v in loop.recipe.named_weights().values()]
        _compare(f"float32: {optimizer}", results, ten, ten[1])
    with open(output, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
