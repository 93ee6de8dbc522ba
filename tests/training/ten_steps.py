"""Ten steps from given weights, for `test_reproducible`: ten_steps.py DATA WEIGHTS OUTPUT.

WEIGHTS is written by the first of the processes that share it. OUTPUT gets the scalars of each
step as JSON.
"""

import json
import os
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

from tests import small
from tfav import compat
from tfav.data import shards
from tfav.experiment import inputs, models
from tfav.training import strategy, trainer, weights_file


def main(data: str, weights: str, output: str) -> None:
    """Takes the steps."""
    compat.enable_determinism()
    replicas = strategy.create("one_device")
    c = small.config(data)
    c.train.learning_rate = 0.01
    labels = shards.Index.read(data).labels("train")
    with replicas.scope():
        recipe = models.model(c, len(labels))
        optimizer = models.optimizer(c, recipe)
    names = recipe.named_weights()
    if os.path.exists(weights):
        weights_file.load(weights, names)
    else:
        weights_file.save(weights, names, write=True)
    loop = trainer.Trainer(
        recipe,
        optimizer,
        replicas,
        batch_size=c.train.batch_size,
        weight_decay=c.train.weight_decay,
        clip_norm=c.train.clip_norm,
    )
    batches = inputs.training_batches(c, 0)
    iterator = iter(replicas.distribute_datasets_from_function(batches))
    lines = [loop.run(iterator, 1) for _ in range(10)]
    with open(output, "w", encoding="utf-8") as file:
        json.dump(lines, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
