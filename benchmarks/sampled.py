"""A step on a share of very many identities, against a step on all of fewer."""

from collections.abc import Callable

import keras
import tensorflow as tf

from benchmarks import gradients, timing
from tfav import compat, items
from tfav.recipes import voice_face
from tfav.training import optimizers, trainer

BATCH, SIZE, INPUT = 256, 128, 64
MANY, SHARE, FEW = 1_000_000, 0.1, 100_000


class Matrix(keras.layers.Layer):
    """An encoder that costs nothing beside the classifier."""

    def __init__(self, name: str, embedding_size: int = SIZE, seed: int = 0):
        super().__init__(name=name)
        self.embedding_size = embedding_size
        self.item_spec = items.ItemSpec("vector", (INPUT,), "float32")
        make = keras.initializers.GlorotUniform(seed=seed)
        shape = (INPUT, embedding_size)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=make)
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        del training
        return x @ tf.convert_to_tensor(self.kernel)


def rows() -> list[timing.Row]:
    """Returns the row of a whole training step with SGD, its momentum and both modalities."""
    return [
        timing.row(
            f"step on {SHARE:.0%} of the identities",
            f"B = {BATCH}, M = {MANY:,}, D = {SIZE}",
            step(MANY, SHARE),
            {f"all of {FEW:,}": step(FEW, 1.0)},
            {f"all of {FEW:,}": 2.0},
            "encoders of one matrix each; draw, both classifications, floor, SGD with momentum",
        )
    ]


def step(num_classes: int, share: float) -> Callable[[], object]:
    """Returns a call of one training step."""
    strategy = tf.distribute.get_strategy()
    encoders = {m: Matrix(m) for m in ("audio", "image")}
    recipe = voice_face.VoiceFace(encoders, num_classes, sampled=share, explicit_weight=0.1)
    optimizer = optimizers.create("sgd", 0.1, schedule="constant", num_steps=100)
    compat.build_optimizer(optimizer, recipe.trainable_weights)
    loop = trainer.Trainer(recipe, optimizer, strategy, batch_size=BATCH, weight_decay=1e-4)
    label = tf.random.stateless_uniform([BATCH], [0, 1], 0, num_classes, tf.int32)
    batch = {
        "audio": gradients.normal(BATCH, INPUT),
        "image": gradients.normal(BATCH, INPUT, seed=1),
        "label": label,
    }
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: loop.run(batches, 1)
