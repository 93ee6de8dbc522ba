"""The step of training, and many of them in one call. It knows no paper."""

import itertools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfav import compat, tensors
from tfav.ops import precision
from tfav.recipes import recipe as base
from tfav.training import flat, requirements
from tfav.training import strategy as strategies


class Trainer:
    """Runs a recipe's steps under a strategy.

    One step: every replica sums its rows' loss over the *global* batch size; gradients are summed
    over replicas, adjusted by the recipe, clipped by their global norm, joined by coupled L2 (w is
    added as in the originals' weight decay) and applied as they are. So N replicas compute what one
    would. Of several encoders, `gradient_norm_NAME` is what the loss sends to each, before all
    that; `gradient_norm` is of all weights and adjusted.

    Args:
      recipe: a built recipe.
      optimizer: a built optimizer; its `iterations` are the step.
      strategy: where the replicas run.
      batch_size: global.
      weight_decay: Weight decay of weights of rank >= 2.
      clip_norm: Largest norm of the global gradient; 0 leaves it.
      jit_compile: Whether XLA compiles the forward and backward pass, one replica alone.
      tolerant: whether batches hold `tensors.SKIPPED`; then `replaced` is a scalar too, the places
        of a step's global batch that another row than the planned one fills.

    Attributes:
      data_wait_seconds: of the last `run`: how long the next batch was not there when the losses of
        a step were; None under op determinism, in which TensorFlow forbids clocks.

    Raises:
      UserError: a batch that the replicas cannot share, or several of them under `jit_compile`.
    """

    def __init__(
        self,
        recipe: base.Recipe,
        optimizer: Any,
        strategy: tf.distribute.Strategy,
        *,
        batch_size: int,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        jit_compile: bool = False,
        tolerant: bool = False,
    ):
        requirements.check(recipe, optimizer, strategy, batch_size, jit_compile)
        sampled = recipe.sampled()
        self.recipe = recipe
        self.optimizer = optimizer
        self.strategy = strategy
        self.batch_size = batch_size
        self.data_wait_seconds: float | None = None
        self._weight_decay = weight_decay
        self._clip_norm = clip_norm
        self._jit_compile = jit_compile
        encoders = recipe.encoder_positions() if len(recipe.encoders) > 1 else {}
        self._norms = [_norm_name(name) for name in (*encoders, "")]
        self._sharded = recipe.sharded()
        self._groups = flat.Groups(
            recipe.trainable_weights, recipe.decayed(), encoders, sampled, self._sharded
        )
        self._sampled = [i for i, its in enumerate(sampled) if its]
        self._counts = ("replaced",) if tolerant else ()
        mine, plain = type(recipe), base.Recipe
        self._adjusts = (
            mine.adjust_gradients is not plain.adjust_gradients
            or mine.combine_gradients is not plain.combine_gradients
        )
        self._steps = tf.function(self._run_steps)
        self._workers_mean = tf.function(
            lambda x: strategy.reduce(
                tf.distribute.ReduceOp.MEAN, strategy.run(tf.identity, args=(x,)), axis=None
            )
        )

    @property
    def step(self) -> int:
        """Returns how many steps were taken."""
        return int(self.optimizer.iterations.numpy())

    def gradients(self, batch: tensors.Batch) -> tuple[dict[str, tf.Tensor], list[Any]]:
        """Returns this replica's share of the scalars, and the gradient summed over replicas.

        Of a weight that the recipe samples it is a `tf.IndexedSlices` of the rows that were read,
        which are the same on every replica: their values are summed, and nothing as large as the
        weight is made. Of a weight that the replicas share it is that of this replica's rows, which
        are already those of the loss of all replicas.
        """
        scalars, gradients = self._gradients(batch)
        return scalars, gradients["loss"]

    def _gradients(self, batch: tensors.Batch) -> tuple[dict[str, tf.Tensor], dict[str, list[Any]]]:
        """Returns the same with the gradients of the recipe's `parts`, by name."""
        variables = [compat.raw(w) for w in self.recipe.trainable_weights]
        of = ("loss", *self.recipe.parts)

        def both_passes(batch: tensors.Batch) -> tuple[dict[str, tf.Tensor], dict[str, list[Any]]]:
            with tf.GradientTape(persistent=len(of) > 1) as tape:
                values = self.recipe.compute_losses(batch, training=True)
                scalars = {
                    k: tf.reduce_sum(values[k]) / self.batch_size for k in self.recipe.scalars
                }
            zero = tf.UnconnectedGradients.ZERO
            return scalars, {
                k: tape.gradient(scalars[k], variables, unconnected_gradients=zero) for k in of
            }

        if self._jit_compile:
            both_passes = tf.function(both_passes, autograph=False, jit_compile=True)
        scalars, found = both_passes(batch)
        read = self._sampled
        dense = {
            k: [g.values if i in read else tf.convert_to_tensor(g) for i, g in enumerate(its)]
            for k, its in found.items()
        }
        context = tf.distribute.get_replica_context()
        summed = {
            k: [g for i, g in enumerate(its) if i not in self._sharded] for k, its in dense.items()
        }
        summed = context.all_reduce(tf.distribute.ReduceOp.SUM, summed)
        gradients = {
            k: [g if i in self._sharded else next(its) for i, g in enumerate(dense[k])]
            for k, its in ((k, iter(its)) for k, its in summed.items())
        }
        for k, i in itertools.product(gradients, read):
            gradients[k][i] = tf.IndexedSlices(gradients[k][i], found[k][i].indices)
        return scalars, gradients

    # Half of the time to the first step would go into rewriting code that is TensorFlow's already.
    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, batch: tensors.Batch) -> dict[str, tf.Tensor]:
        counted = {name: batch[tensors.SKIPPED] for name in self._counts}
        batch = {name: x for name, x in batch.items() if name != tensors.SKIPPED}
        scalars, found = self._gradients(batch)
        rows = {i: found["loss"][i].indices for i in self._sampled}
        every = {
            k: [g.values if i in rows else g for i, g in enumerate(its)] for k, its in found.items()
        }
        gradients = every["loss"]
        for name, skipped in counted.items():
            scalars[name] = tf.math.count_nonzero(skipped, dtype=precision.full_dtype())
        context = tf.distribute.get_replica_context()
        scalars = context.all_reduce(tf.distribute.ReduceOp.SUM, scalars)
        vectors = self._groups.join(gradients)
        norms = self._groups.norms(vectors)  # before a recipe adjusts what reaches the encoders
        if self._adjusts:
            step = tf.cast(tf.identity(compat.raw(self.optimizer.iterations)), tf.int64)
            gradients = self.recipe.combine_gradients(every, scalars)
            gradients = self.recipe.adjust_gradients(gradients, scalars, step)
            vectors = self._groups.join(gradients)
            norms[""] = self._groups.norms(vectors)[""]
        # What is not finite moves no weight, so that one can look where it came from.
        finite = tf.math.is_finite(scalars["loss"] + norms[""])
        kept = tf.where(finite, self._clipping(norms[""]), 0.0)
        vectors = {k: tf.math.multiply_no_nan(v, kept) for k, v in vectors.items()}
        if self._weight_decay:
            vectors = self._groups.decay(vectors, self._weight_decay, rows)
        gradients = self._groups.split(vectors, rows)
        compat.reduced_apply(self.optimizer, gradients, self.recipe.trainable_weights)
        return {**scalars, **{_norm_name(name): norm for name, norm in norms.items()}}

    def _clipping(self, norm: tf.Tensor) -> tf.Tensor:
        """Returns the factor [] that brings a gradient of this norm to `clip_norm` or below."""
        if not self._clip_norm:
            return tf.ones_like(norm)
        limit = tf.cast(self._clip_norm, norm.dtype)
        return limit * tf.minimum(1.0 / norm, 1.0 / limit)

    # A loop that is written out and carries one vector: TensorFlow takes a microsecond for each
    # operation, and a step of a small model has little else.
    @tf.autograph.experimental.do_not_convert
    def _run_steps(
        self, iterator: Iterator, num_steps: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        names = (*self.recipe.scalars, *self._counts, *self._norms)

        def going(step: tf.Tensor, good: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            return tf.logical_and(step < num_steps, good)

        def one(
            step: tf.Tensor, _: tf.Tensor, totals: tf.Tensor, waited: tf.Tensor, done: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            batch = next(iterator)
            # Clocks that only look on: batches are fetched ahead of the steps all the same.
            waited += tf.maximum(_when(batch) - done, 0.0)
            values = self.strategy.run(self._replica_step, args=(batch,))
            # All replicas hold the same.
            scalars = {k: self.strategy.experimental_local_results(values[k])[0] for k in names}
            good = tf.math.is_finite(scalars["loss"] + scalars["gradient_norm"])
            totals += tf.stack([scalars[k] for k in names])
            return step + 1, good, totals, waited, _when(scalars)

        zeros = tf.zeros([len(names)], precision.full_dtype())
        start = (tf.constant(0), tf.constant(True), zeros, tf.constant(0.0, tf.float64), _when([]))
        steps, good, totals, waited, _ = tf.while_loop(going, one, start)
        first_bad = tf.where(good, -1, steps - 1)
        return dict(zip(names, tf.unstack(totals))), first_bad, waited

    def run(self, iterator: Iterator, num_steps: int) -> dict[str, float]:
        """Takes `num_steps` steps in one call and returns the mean of each scalar.

        Raises:
          FloatingPointError: a loss or gradient was not finite; names the step, which was the last
            one taken and whose gradient no weight has seen.
        """
        start = self.step
        totals, first_bad, waited = self._steps(iterator, tf.constant(num_steps, tf.int32))
        self.data_wait_seconds = None if compat.deterministic() else float(waited.numpy())
        bad = int(first_bad.numpy())
        if bad >= 0:
            raise FloatingPointError(
                f"the loss or its gradient is not finite at step {start + bad}"
            )
        if self.step != start + num_steps:
            raise RuntimeError(f"{num_steps} steps moved the step from {start} to {self.step}")
        return {name: float(total.numpy()) / num_steps for name, total in totals.items()}

    def workers_mean(self, value: float) -> float:
        """Returns the mean of the workers' values: what is decided by it, all decide alike.

        A worker that acted alone, on a signal or on a metric's last bit, would hang the others.
        """
        if strategies.num_workers(self.strategy) == 1:
            return value
        return float(self._workers_mean(tf.constant(value, tf.float64)).numpy())


def _when(values: Any) -> tf.Tensor:
    """Returns the time [] float64 in seconds at which all of some tensors were there; or 0."""
    if compat.deterministic():
        return tf.constant(0.0, tf.float64)
    with tf.control_dependencies(tf.nest.flatten(values, expand_composites=True)):
        return tf.timestamp()


def _norm_name(encoder: str) -> str:
    return f"gradient_norm_{encoder}" if encoder else "gradient_norm"
