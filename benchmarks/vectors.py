"""Training steps on vectors, batch and all: from a prepared data set to the weights.

The floor is what no form of it can do without: the four products of two linear encoders, both ways,
in one compiled loop. Classifiers of identities add theirs, and are told apart.
"""

import dataclasses
import itertools
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks import timing
from tfav import config
from tfav.configs import vectors
from tfav.data import kinds, shards
from tfav.experiment import inputs, models
from tfav.training import strategy as strategies
from tfav.training import trainer

BATCH, SIZE, EMBEDDING, PEOPLE, TAKES = 64, 512, 128, 1024, 4
STEPS = 500  # of a call
# Method of `configs/vectors.py`, and encoder.
CASES = (
    ("pins", "linear"),
    ("supervised_contrastive", "linear"),
    ("cmpc", "linear"),
    ("pins", "mlp"),
    ("voice_face", "linear"),
)


def rows() -> list[timing.Row]:
    """Returns a row per method and encoder; its notes say how many steps a second are."""
    with tempfile.TemporaryDirectory() as folder:
        _write(folder)
        found = []
        for method, encoder in CASES:
            row = timing.row(
                f"{STEPS} training steps on vectors, {method}, {encoder}",
                f"B = {BATCH}, D = {SIZE}, {PEOPLE} identities",
                steps(folder, method, encoder),
                {"its products alone": products()},
            )
            rate = STEPS / row.ours_ms * 1e3
            found.append(dataclasses.replace(row, notes=f"{rate:,.0f} steps per second"))
        return found


def _write(folder: str) -> None:
    random = np.random.default_rng(0)
    rows = []
    for person in range(PEOPLE):
        for modality, take in itertools.product(("audio", "image"), range(TAKES)):
            content = tf.make_tensor_proto(random.standard_normal(SIZE).astype(np.float32))
            rows.append(
                shards.Record(
                    f"{person}/{modality}{take}",
                    "train",
                    str(person),
                    further={modality: [content.SerializeToString()]},
                    kinds={modality: kinds.ARRAY.name},
                )
            )
    shards.write(folder, rows, modalities=("audio", "image"))


def steps(folder: str, method: str, encoder: str) -> Callable[[], object]:
    """Returns a call that takes `STEPS` steps of a method of `configs/vectors.py`."""
    c = vectors.get_config(method)
    c.data.directory = folder
    for modality in ("audio", "image"):
        arguments = dict(c.further[modality].arguments) if encoder == "mlp" else {}
        c.further[modality] = config.further_of(
            "array", encoder, arguments, size=SIZE, sequence=False
        )
    strategies.set_intra_op_threads(c.train.intra_op_threads)
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        recipe = models.model(c, PEOPLE)
        optimizer = models.optimizer(c, recipe)
    loop = trainer.Trainer(
        recipe,
        optimizer,
        strategy,
        batch_size=BATCH,
        weight_decay=c.train.weight_decay,
        clip_norm=c.train.clip_norm,
        jit_compile=c.train.jit_compile,
    )
    batches = strategies.iterate(strategy, inputs.training_batches(c, 0))
    return lambda: loop.run(batches, STEPS)


def products() -> Callable[[], object]:
    """Returns a call of as many steps of nothing but the matrix products of two linear encoders."""
    random = np.random.default_rng(0)
    x = [tf.constant(random.standard_normal((BATCH, SIZE)).astype(np.float32)) for _ in range(2)]
    w = [tf.Variable(np.zeros((SIZE, EMBEDDING), np.float32)) for _ in range(2)]

    @tf.function
    def run() -> tf.Tensor:
        for _ in tf.range(STEPS):
            for value, weight in zip(x, w):
                y = tf.matmul(value, weight)
                weight.assign_sub(1e-6 * tf.matmul(value, y, transpose_a=True))
        return tf.reduce_sum(w[0])

    return lambda: run().numpy()
