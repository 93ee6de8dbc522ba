"""Recipes whose encoders are one matrix each: what is tested are heads, losses and steps."""

import keras
import numpy as np
import tensorflow as tf

from tfav import compat, items, recipes
from tfav.training import checkpoints, optimizers, trainer

INPUT, SIZE = 6, 4


class Linear(keras.layers.Layer):
    """An encoder of vectors: x -> x W, with W from a seed."""

    def __init__(self, seed):
        super().__init__(name=f"linear{seed}")
        self.embedding_size = SIZE
        self.item_spec = items.ItemSpec("vector", (INPUT,), "float32")
        values = np.random.default_rng(seed).normal(size=(INPUT, SIZE))
        make = keras.initializers.Constant(values)
        self.kernel = self.add_weight(name="kernel", shape=(INPUT, SIZE), initializer=make)
        self.built = True

    def call(self, x, training=False):
        del training
        return tf.cast(x, self.compute_dtype) @ tf.convert_to_tensor(self.kernel)


def recipe(name, num_classes, **arguments):
    """Returns a recipe of two such encoders."""
    encoders = {"audio": Linear(0), "image": Linear(1)}
    return recipes.RECIPES[name](encoders, num_classes, seed=3, **arguments)


def batch(rows, num_classes, seed=0):
    """Returns vectors of both modalities and labels, some of which come twice."""
    rng = np.random.default_rng(seed)
    audio, image = rng.normal(size=(2, rows, INPUT))
    label = rng.integers(0, num_classes, rows).astype(np.int32)
    return {"audio": audio, "image": image, "label": label}


def loop(strategy, name, num_classes, batch_size, *, optimizer="sgd", momentum=0.9, **arguments):
    """Returns a trainer of such a recipe, with clipping and weight decay."""
    with strategy.scope():
        made = recipe(name, num_classes, **arguments)
        chosen = optimizers.create(
            optimizer, 0.05, schedule="constant", num_steps=99, momentum=momentum
        )
        compat.build_optimizer(chosen, made.trainable_weights)
    return trainer.Trainer(
        made, chosen, strategy, batch_size=batch_size, weight_decay=1e-2, clip_norm=2.0
    )


def batches(strategy, num_classes, rows, steps=10):
    """Returns a distributed iterator over so many such batches."""
    each = [batch(rows, num_classes, seed) for seed in range(steps)]
    arrays = {key: np.concatenate([b[key] for b in each]) for key in each[0]}
    data = tf.data.Dataset.from_tensor_slices(arrays).batch(rows, drop_remainder=True)
    return iter(strategy.experimental_distribute_dataset(data))


def state(its):
    """Returns all variables of a trainer's recipe and its optimizer, by name or place."""
    found = {name: v.numpy() for name, v in its.recipe.named_weights().items()}
    slots = its.optimizer.variables
    slots = slots() if callable(slots) else slots
    spread = checkpoints.spread_slots(its.optimizer, its.recipe.sharded())
    raw = [compat.raw(v) for v in slots]
    return found | {f"slot{i}": spread.get(id(v), v).numpy() for i, v in enumerate(raw)}
