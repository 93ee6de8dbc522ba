"""The training step of a config, with inputs that are already there: what the benchmarks time."""

import runpy
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfav.experiment import models
from tfav.training import trainer


class Step:
    """A recipe, its trainer, and one batch that is fed again and again.

    Args:
      config: `FILE:VARIANT`.
      batch_size: rows of the batch.
      seconds: length of the clips.
      num_classes: identities or classes.
      **fields: config fields, dots written as two underscores.
    """

    def __init__(
        self, config: str, batch_size: int, seconds: float, num_classes: int, **fields: object
    ):
        file, _, variant = config.partition(":")
        c = runpy.run_path(file)["get_config"](variant)
        with c.unlocked():
            c.update_from_flattened_dict({k.replace("__", "."): v for k, v in fields.items()})
        self.config = c
        self.batch_size = batch_size
        self.strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
        if tf.config.list_physical_devices("GPU"):
            self.strategy = tf.distribute.OneDeviceStrategy("/gpu:0")
        with self.strategy.scope():
            self.recipe = models.model(c, num_classes)
            optimizer = models.optimizer(c, self.recipe)
        self.trainer = trainer.Trainer(
            self.recipe,
            optimizer,
            self.strategy,
            batch_size=batch_size,
            weight_decay=c.train.weight_decay,
            clip_norm=c.train.clip_norm,
        )
        random = np.random.default_rng(0)
        side = c.image.size
        self.batch = {
            "audio": (0.1 * random.standard_normal((batch_size, round(16_000 * seconds)))),
            "image": random.integers(0, 256, (batch_size, side, side, 3), np.uint8),
            "label": random.permutation(max(num_classes, batch_size))[:batch_size] % num_classes,
        }
        self.batch["audio"] = self.batch["audio"].astype(np.float32)
        self.batch["label"] = self.batch["label"].astype(np.int32)

    def graph(self) -> tf.Graph:
        """Returns the graph of one step on one replica."""
        specs = {name: tf.TensorSpec(x.shape, x.dtype) for name, x in self.batch.items()}
        step = tf.function(
            lambda batch: self.strategy.run(self.trainer._replica_step, args=(batch,))
        )
        return step.get_concrete_function(specs).graph

    def runner(self, steps_per_call: int = 1) -> Callable[[], dict[str, float]]:
        """Returns a call that takes so many steps and waits for them."""
        dataset = tf.data.Dataset.from_tensors(self.batch).repeat()
        iterator = iter(self.strategy.distribute_datasets_from_function(lambda _: dataset))
        return lambda: self.trainer.run(iterator, steps_per_call)
