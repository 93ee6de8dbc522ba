"""The step of training, and many of them in one call. It knows no paper."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfav import compat, tensors
from tfav.ops import precision
from tfav.recipes import recipe as base
from tfav.training import flat, requirements, step_loop
from tfav.training import strategy as strategies


class Trainer:
    """Runs a recipe's steps under a strategy.

    One step: every replica sums its rows' loss over the *global* batch size; gradients are summed
    over replicas, adjusted by the recipe, clipped by their global norm, joined by coupled L2 (w is
    added as in the originals' weight decay) and applied as they are. So N replicas compute what one
    would. Of several encoders, `gradient_norm_NAME` is what the loss sends to each, before all
    that; `gradient_norm` is of all weights and adjusted.

    A weight that neither the loss nor one of the recipe's `parts` depends on stays as it is and has
    no decay, but for recipes that adjust gradients, as they may give it one.

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
        self._group = functools.partial(
            flat.Groups,
            recipe.trainable_weights,
            recipe.decayed(),
            encoders,
            sampled,
            self._sharded,
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
        scalars, gradients, _ = self._gradients(batch)
        return scalars, gradients["loss"]

    def _gradients(
        self, batch: tensors.Batch
    ) -> tuple[dict[str, tf.Tensor], dict[str, list[Any]], set[int]]:
        """Returns the same with the gradients of the recipe's `parts`, by name, and what is idle.

        A weight is idle if none of them depends on it; its gradients are zeros.
        """
        variables = [compat.raw(w) for w in self.recipe.trainable_weights]
        of = ("loss", *self.recipe.parts)

        def both_passes(batch: tensors.Batch) -> tuple[dict[str, tf.Tensor], dict[str, list[Any]]]:
            with tf.GradientTape(persistent=len(of) > 1) as tape:
                values = self.recipe.compute_losses(batch, training=True)
                scalars = {
                    k: tf.reduce_sum(values[k]) / self.batch_size for k in self.recipe.scalars
                }
            return scalars, {k: tape.gradient(scalars[k], variables) for k in of}

        if self._jit_compile:
            both_passes = tf.function(both_passes, autograph=False, jit_compile=True)
        scalars, found = both_passes(batch)
        idle = {i for i, its in enumerate(zip(*found.values())) if all(g is None for g in its)}
        read = [i for i in self._sampled if i not in idle]

        def dense(i: int, gradient: Any) -> tf.Tensor:
            if gradient is None:
                return tf.zeros_like(variables[i])
            return gradient.values if i in read else tf.convert_to_tensor(gradient)

        gradients = {k: [dense(i, g) for i, g in enumerate(its)] for k, its in found.items()}
        shared = [i for i in range(len(variables)) if i not in self._sharded and i not in idle]
        context = tf.distribute.get_replica_context()
        summed = {k: [its[i] for i in shared] for k, its in gradients.items()}
        for k, its in context.all_reduce(tf.distribute.ReduceOp.SUM, summed).items():
            for i, gradient in zip(shared, its):
                gradients[k][i] = gradient
        for k, i in itertools.product(gradients, read):
            gradients[k][i] = tf.IndexedSlices(gradients[k][i], found[k][i].indices)
        return scalars, gradients, idle

    # Half of the time to the first step would go into rewriting code that is TensorFlow's already.
    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, batch: tensors.Batch) -> dict[str, tf.Tensor]:
        counted = {name: batch[tensors.SKIPPED] for name in self._counts}
        batch = {name: x for name, x in batch.items() if name != tensors.SKIPPED}
        scalars, found, idle = self._gradients(batch)
        rows = {i: found["loss"][i].indices for i in self._sampled if i not in idle}
        every = {
            k: [g.values if i in rows else g for i, g in enumerate(its)] for k, its in found.items()
        }
        gradients = every["loss"]
        for name, skipped in counted.items():
            scalars[name] = tf.math.count_nonzero(skipped, dtype=precision.full_dtype())
        context = tf.distribute.get_replica_context()
        scalars = context.all_reduce(tf.distribute.ReduceOp.SUM, scalars)
        groups = self._group(() if self._adjusts else idle)  # which a recipe may give a gradient
        vectors = groups.join(gradients)
        norms = groups.norms(vectors)  # before a recipe adjusts what reaches the encoders
        if self._adjusts:
            step = tf.cast(tf.identity(compat.raw(self.optimizer.iterations)), tf.int64)
            gradients = self.recipe.combine_gradients(every, scalars)
            gradients = self.recipe.adjust_gradients(gradients, scalars, step)
            vectors = groups.join(gradients)
            norms[""] = groups.norms(vectors)[""]
        # What is not finite moves no weight, so that one can look where it came from.
        finite = tf.math.is_finite(scalars["loss"] + norms[""])
        kept = tf.where(finite, self._clipping(norms[""]), 0.0)
        vectors = {k: tf.math.multiply_no_nan(v, kept) for k, v in vectors.items()}
        if self._weight_decay:
            vectors = groups.decay(vectors, self._weight_decay, rows)
        gradients = groups.split(vectors, rows)
        compat.reduced_apply(self.optimizer, gradients, self.recipe.trainable_weights)
        return {**scalars, **{_norm_name(name): norm for name, norm in norms.items()}}

    def _clipping(self, norm: tf.Tensor) -> tf.Tensor:
        """Returns the factor [] that brings a gradient of this norm to `clip_norm` or below."""
        if not self._clip_norm:
            return tf.ones_like(norm)
        limit = tf.cast(self._clip_norm, norm.dtype)
        return limit / tf.maximum(norm, limit)

    @tf.autograph.experimental.do_not_convert
    def _run_steps(
        self, iterator: Iterator, num_steps: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        names = (*self.recipe.scalars, *self._counts, *self._norms)

        def one(batch: tensors.Batch) -> dict[str, tf.Tensor]:
            values = self.strategy.run(self._replica_step, args=(batch,))
            # All replicas hold the same.
            return {k: self.strategy.experimental_local_results(values[k])[0] for k in names}

        return step_loop.run(one, names, iterator, num_steps)

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


def _norm_name(encoder: str) -> str:
    return f"gradient_norm_{encoder}" if encoder else "gradient_norm"
