"""Ten steps of a recipe's small run, as one process of `test_replicas`.

Called as `python -m tests.training.steps STRATEGY DATA OUTPUT RECIPE`. Writes the loss
and summed gradients of the first batch, and the weights after ten steps. All in float64, where what
differs is a mistake and no rounding.
"""

import os
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import numpy as np
import tensorflow as tf

from tests import small
from tests.conformance import test_recipes
from tfav import compat
from tfav.data.input import endless
from tfav.experiment import models
from tfav.training import optimizers, strategy, trainer


def main(strategy_name: str, data: str, output: str, recipe_name: str) -> None:
    devices = tf.config.list_physical_devices("CPU")
    if strategy_name == "mirrored":
        tf.config.set_logical_device_configuration(
            devices[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
    replicas = strategy.create(strategy_name)
    c = test_recipes.config(recipe_name, data)
    c.seed, c.dtype = 3, "float64"
    with replicas.scope():
        recipe = models.model(c, num_classes=8)
        optimizer = optimizers.create("sgd", 0.01, schedule="constant", num_steps=10)
        compat.build_optimizer(optimizer, recipe.trainable_weights)
    loop = trainer.Trainer(
        recipe, optimizer, replicas, batch_size=8, weight_decay=1e-3, clip_norm=1.0
    )

    def batches():
        make = endless.identity_batches(
            data,
            "train",
            batch_size=8,
            seed=5,
            audio_seconds=(0.4, 0.5),
            items=small.pair(augment=("flip", "crop")),
        )
        return strategy.iterate(replicas, make)

    @tf.function
    def first(batch):
        scalars, gradients = replicas.run(loop.gradients, args=(batch,))
        loss = replicas.reduce(tf.distribute.ReduceOp.SUM, scalars["loss"], axis=None)
        return loss, [replicas.experimental_local_results(g)[0] for g in gradients]

    before = {name: v.numpy() for name, v in recipe.named_weights().items()}
    loss, gradients = first(next(batches()))
    for name, variable in recipe.named_weights().items():  # the first pass moved batch statistics
        variable.assign(before[name])
    scalars = loop.run(batches(), 10)
    arrays = {f"weight:{name}": v.numpy() for name, v in recipe.named_weights().items()}
    paths = [compat.path(w) for w in recipe.trainable_weights]
    arrays |= {
        f"gradient:{i}:{path}": g.numpy() for i, (path, g) in enumerate(zip(paths, gradients))
    }
    np.savez(output, loss=loss.numpy(), mean_loss=scalars["loss"], **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
