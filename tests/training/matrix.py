"""Steps of a batch of 64 on so many replicas, to hold against those of one.

Called as `python -m tests.training.matrix REPLICAS OUTPUT` by `test_replica_matrix`, a process per
number of replicas, because two mirrored strategies of unlike sizes cannot live in one. Writes an
`.npz`: `first: CASE/i` are the loss and the gradients of the first step (float64), `ten: CASE/i`
weights and slots after ten steps (float64), `float32: OPTIMIZER/i` weights after ten in float32.
"""

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

ROWS, CLASSES = 64, 23  # classes that the replicas cannot share evenly
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
    "sharded shared head": ("voice_face", {"sharded": True, "reweighting": "grow", **MARGIN}),
    "sharded cosine head": (
        "mmcosine",
        {"sharded": True, "blending": "equal", "sub_centers": 2, "scale": 4.0, **MARGIN},
    ),
    "vanilla": ("mmcosine", {"head": "vanilla", "agreement_weight": 0.5}),
    "gated": ("mmcosine", {"fusion": "gated", "contrastive_weight": 1.0}),
    "ogm with film": ("mmcosine", {"fusion": "film", "modulation": "ogm"}),
    "ogm_ge with film": ("mmcosine", {"fusion": "film", "modulation": "ogm_ge"}),
}
# Those of them whose steps hang on more than the gradient: states, draws, noise, schedules.
TEN = (
    "margin",
    "identity weights grow",
    "sampled shared head",
    "sampled cosine head",
    "sharded shared head",
    "sharded cosine head",
    "ogm_ge with film",
)
if not os.environ.get("TFAV_MATRIX"):
    TEN = tuple(case for case in TEN if "sharded" not in case)  # test_sharded_steps.py has two
    LINEAR = {case: LINEAR[case] for case in TEN}
# Of real encoders with their batch norm: every recipe, and the states that `SETTINGS` lacks.
WHOLE = {
    **{name: (name, {}) for name in recipes.RECIPES},
    "dmc, one derangement": ("dmc", {"loss.negatives": "derangement"}),
    "mmcosine, film": ("mmcosine", {"model.fusion": "film"}),
}
# All of it takes minutes: `make matrix`. Else those of `TEN` on two replicas, and no recipe with
# real encoders, of which conformance/test_recipes.py has two replicas.
FULL = bool(os.environ.get("TFAV_MATRIX"))
REPLICAS = (1, 2, 4) if FULL else (1, 2)
OF_WHOLE = (1, 4) if FULL else ()
OPTIMIZERS = ["sgd", "adam", *(["lamb"] if compat.KERAS_3 else ["rectified_adam", "lookahead"])]


def _strategy(replicas, exchange=None):
    if replicas == 1:
        return tf.distribute.OneDeviceStrategy("CPU:0")
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)], exchange)


def _first(strategy, loop, given):
    """Returns the loss and the gradients of a batch, each summed over replicas."""
    parts = strategy.num_replicas_in_sync
    shared = {
        key: strategy.experimental_distribute_values_from_function(
            lambda context, x=x: tf.constant(np.split(x, parts)[context.replica_id_in_sync_group])
        )
        for key, x in given.items()
    }
    scalars, gradients = strategy.run(loop.gradients, args=(shared,))
    loss = sum(x.numpy() for x in strategy.experimental_local_results(scalars["loss"]))
    local = [strategy.experimental_local_results(g) for g in gradients]
    sharded = loop.recipe.sharded()
    local = [
        np.concatenate([g.numpy() for g in its])[: sharded[i]] if i in sharded else its[0]
        for i, its in enumerate(local)
    ]
    return [loss, *(tf.convert_to_tensor(getattr(g, "values", g)).numpy() for g in local)]


def main(replicas: int, output: str) -> None:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
    )
    strategy = _strategy(replicas)
    found: dict[str, list] = {}
    keras.mixed_precision.set_global_policy("float64")
    for case, (name, arguments) in LINEAR.items():
        loop = linear.loop(strategy, name, CLASSES, ROWS, **arguments)
        before = linear.state(loop)
        found[f"first: {case}"] = _first(strategy, loop, linear.batch(ROWS, CLASSES))
        if case not in TEN:
            continue
        for k, variable in loop.recipe.named_weights().items():
            variable.assign(before[k])
        loop.run(linear.batches(strategy, CLASSES, ROWS), 10)
        found[f"ten: {case}"] = list(linear.state(loop).values())
    for case, (name, changes) in WHOLE.items() if replicas in OF_WHOLE else ():
        c = test_recipes.config(name)
        c.dtype = "float64"
        for field, value in changes.items():
            part, _, key = field.partition(".")
            c[part][key] = value
        with strategy.scope():
            recipe = models.model(c, test_recipes.NUM_CLASSES)
        loop = trainer.Trainer(recipe, None, strategy, batch_size=ROWS)
        found[f"first: {case}"] = _first(strategy, loop, test_recipes.batch(c, ROWS))
    keras.mixed_precision.set_global_policy("float32")
    if not FULL:  # what an optimizer makes of the sums, which the cases above exchange as runs do
        strategy = _strategy(replicas, tf.distribute.ReductionToOneDevice())
    for optimizer in OPTIMIZERS:
        loop = linear.loop(strategy, "voice_face", CLASSES, ROWS, optimizer=optimizer)
        loop.run(linear.batches(strategy, CLASSES, ROWS), 10)
        weights = loop.recipe.named_weights().values()
        found[f"float32: {optimizer}"] = [v.numpy() for v in weights]
    arrays = {f"{case}/{i}": x for case, all_of in found.items() for i, x in enumerate(all_of)}
    np.savez(output, **arrays)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
