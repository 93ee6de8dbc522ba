"""What a training says of a loss that is not finite."""

import dataclasses
import os
from collections.abc import Callable

import tensorflow as tf

from tfav.data.input.batches import Batches
from tfav.training import not_finite, trainer


def explainer(loop: trainer.Trainer, batches: Batches, workdir: str) -> Callable[[int], str]:
    """Returns what `fitting.fit` asks where a loss or a gradient is not finite.

    Args:
      loop: which trains.
      batches: its input.
      workdir: where the batch of that step is written; empty: nowhere.
    """

    def explain(step: int) -> str:
        again = dataclasses.replace(batches, start_step=step)
        mine: list[slice] = []  # this worker's part of the global batch

        def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
            size = batches.batch_size // context.num_input_pipelines
            first = context.input_pipeline_id * size
            mine.append(slice(first, first + size))
            return again(context)

        iterator = iter(loop.strategy.distribute_datasets_from_function(make))
        path = os.path.join(workdir, not_finite.FILE) if workdir else ""
        return not_finite.explain(loop, iterator, batches.ids(step)[mine[0]], step, path)

    return explain
