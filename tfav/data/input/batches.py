"""The pipelines of endless batches, what a step draws, and what stands in for a bad record."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfav import registry, tensors
from tfav.data import kinds, shards
from tfav.data.input import drawn_batches, pipeline, vector_table
from tfav.data.input import reader as reading

ATTEMPTS = 8  # rows tried for one place of a batch, before the training stops


@dataclasses.dataclass(frozen=True)
class Batches:
    """Makes a pipeline's batches, for `strategy.distribute_datasets_from_function`.

    Attributes:
      index: rows of the split.
      items: modality to what is asked of it.
      drawn: modality to the name, in what `plan` returns, of the rows that it is taken from.
      batch_size: of the global batch.
      start_step: first step to produce.
      plan: step [] int64 and attempt to what is drawn for it, tensors of batch_size rows.
      load: a reader and one of these rows to one row of a Batch.
      tolerant: whether a row whose record cannot be read is replaced by the next attempt of the
        plan. Batches then hold `tensors.SKIPPED`. Which rows take part is a function of (seed,
        step) and of which records are bad alone: never of time, of replicas, or of a resume.
    """

    index: shards.Index
    items: Mapping[str, kinds.Item]
    drawn: Mapping[str, str]
    batch_size: int
    start_step: int
    plan: Callable
    load: Callable
    tolerant: bool = False

    def __call__(self, input_context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        """Returns the endless batches of one input pipeline."""
        context = input_context or tf.distribute.InputContext()
        replicas = context.num_replicas_in_sync
        if self.batch_size % replicas:
            raise registry.UserError(
                f"a batch of {self.batch_size} does not divide among {replicas} replicas: set "
                f"--config.train.batch_size to a multiple of {replicas}."
            )
        size = self.batch_size // context.num_input_pipelines
        mine = slice(context.input_pipeline_id * size, (context.input_pipeline_id + 1) * size)
        if self._in_memory:
            gather = self._gather(mine, replicas // context.num_input_pipelines)
            return pipeline.finish(tf.data.Dataset.range(tf.int64.max).map(gather))
        reader = reading.Reader(self.index, again=True, tolerant=self.tolerant)
        dataset = tf.data.Dataset.range(self.start_step, tf.int64.max)
        dataset = dataset.map(
            lambda step: {name: drawn[mine] for name, drawn in self._planned(step).items()}
        )
        load = functools.partial(self._first_whole if self.tolerant else self.load, reader)
        dataset = pipeline.loaded(dataset.unbatch(), load)
        # Clips are as long as each other; sequences of other kinds come as they are.
        padded = any(item.spec.length and not item.spec.clip for item in self.items.values())
        batch = dataset.padded_batch if padded else dataset.batch
        return pipeline.finish(batch(self.batch_size // replicas, drop_remainder=True))

    def in_step(self) -> drawn_batches.DrawnBatches | None:
        """Returns the batches of one replica, each made where `next` is called; None of records."""
        if not self._in_memory:
            return None
        return drawn_batches.DrawnBatches(self._gather(slice(0, self.batch_size), 1))

    @property
    def _in_memory(self) -> bool:
        return vector_table.holds(self.items) and not self.tolerant

    def _gather(self, mine: slice, replicas: int) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns what gathers the batch of a place, replica by replica, from tables in memory."""
        table = vector_table.VectorTable(self.index, self.items)
        size = (mine.stop - mine.start) // replicas

        def gather(place: tf.Tensor) -> dict[str, tf.Tensor]:
            found = self.plan(self.start_step + (place // replicas if replicas > 1 else place))
            own = {name: found[name] for name in ("label", *self.drawn.values())}
            if size < self.batch_size:
                first = mine.start + size * (place % replicas)
                own = {n: tf.ensure_shape(x[first : first + size], [size]) for n, x in own.items()}
            vectors = {name: table.gather(name, own[row]) for name, row in self.drawn.items()}
            return {**vectors, "label": own["label"]}

        return gather

    def rows(self, step: int, attempt: int = 0) -> np.ndarray:
        """Returns the rows of `index` that step `step` draws: [batch_size, 1 or 2] int64."""
        drawn = self.plan(tf.constant(step, tf.int64), attempt=attempt)
        names = dict.fromkeys(self.drawn.values())
        return np.stack([drawn[name].numpy() for name in names], axis=1)

    def ids(self, step: int, attempt: int = 0) -> list[str]:
        """Returns what each place of the batch of a step is of: an id, or two with a `+`."""
        rows = self.rows(step, attempt)
        return ["+".join(self.index.id[row] for row in drawn) for drawn in rows]

    def _planned(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns what is drawn for a step; where bad records are replaced all attempts, dim 1."""
        if not self.tolerant:
            return self.plan(step)
        attempts = [self.plan(step, attempt=attempt) for attempt in range(ATTEMPTS)]
        return {n: tf.stack([drawn[n] for drawn in attempts], axis=1) for n in attempts[0]}

    def _first_whole(
        self, reader: reading.Reader, row: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Returns the first of the attempts [ATTEMPTS, ...] of a row that can be read."""

        def one(number: tf.Tensor, drawn: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {**self.load(reader, drawn), tensors.SKIPPED: tf.cast(number, tf.int32)}

        attempts = tf.data.Dataset.from_tensor_slices(row).enumerate().map(one)
        return attempts.ignore_errors().take(1).get_single_element()
