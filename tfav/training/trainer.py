"""The only training loop of the house. It knows no paper."""

import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf
import tqdm
from absl import logging

from tfav import compat, registry, tensors
from tfav.ops import precision
from tfav.recipes import recipe as base
from tfav.training import checkpoints as checkpoints_lib
from tfav.training import flat, stopping
from tfav.training import strategy as strategies
from tfav.training import writer as writer_lib


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
    ):
        if jit_compile and strategy.num_replicas_in_sync > 1:
            raise registry.UserError(
                "--config.train.jit_compile=True needs one replica and there are "
                f"{strategy.num_replicas_in_sync}, whose sums XLA cannot compile: set it to False, "
                "or give --strategy=one_device."
            )
        if batch_size % strategy.num_replicas_in_sync:
            raise registry.UserError(
                f"--config.train.batch_size={batch_size} does not divide among "
                f"{strategy.num_replicas_in_sync} "
                "replicas: give a multiple of their number."
            )
        self.recipe = recipe
        self.optimizer = optimizer
        self.strategy = strategy
        self._batch_size = batch_size
        self._weight_decay = weight_decay
        self._clip_norm = clip_norm
        self._jit_compile = jit_compile
        encoders = recipe.encoder_positions() if len(recipe.encoders) > 1 else {}
        self._norms = [_norm_name(name) for name in (*encoders, "")]
        self._groups = flat.Groups(recipe.trainable_weights, recipe.decayed(), encoders)
        self._adjusts = type(recipe).adjust_gradients is not base.Recipe.adjust_gradients
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

    def gradients(self, batch: tensors.Batch) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Returns this replica's share of the scalars, and the gradient summed over replicas."""
        variables = [compat.raw(w) for w in self.recipe.trainable_weights]

        def both_passes(batch: tensors.Batch) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
            with tf.GradientTape() as tape:
                values = self.recipe.compute_losses(batch, training=True)
                scalars = {
                    k: tf.reduce_sum(values[k]) / self._batch_size for k in self.recipe.scalars
                }
            return scalars, tape.gradient(
                scalars["loss"], variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )

        if self._jit_compile:
            both_passes = tf.function(both_passes, autograph=False, jit_compile=True)
        scalars, gradients = both_passes(batch)
        context = tf.distribute.get_replica_context()
        return scalars, context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)

    # Half of the time to the first step would go into rewriting code that is TensorFlow's already.
    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, batch: tensors.Batch) -> dict[str, tf.Tensor]:
        scalars, gradients = self.gradients(batch)
        context = tf.distribute.get_replica_context()
        scalars = context.all_reduce(tf.distribute.ReduceOp.SUM, scalars)
        vectors = self._groups.join(gradients)
        norms = self._groups.norms(vectors)  # before a recipe adjusts what reaches the encoders
        if self._adjusts:
            step = tf.cast(tf.identity(compat.raw(self.optimizer.iterations)), tf.int64)
            vectors = self._groups.join(self.recipe.adjust_gradients(gradients, scalars, step))
            norms[""] = self._groups.norms(vectors)[""]
        if self._clip_norm:
            clipped, _ = tf.clip_by_global_norm(
                list(vectors.values()), self._clip_norm, use_norm=norms[""]
            )
            vectors = dict(zip(vectors, clipped))
        if self._weight_decay:
            vectors = self._groups.decay(vectors, self._weight_decay)
        gradients = self._groups.split(vectors)
        compat.reduced_apply(self.optimizer, gradients, self.recipe.trainable_weights)
        return {**scalars, **{_norm_name(name): norm for name, norm in norms.items()}}

    def _run_steps(
        self, iterator: Iterator, num_steps: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        names = (*self.recipe.scalars, *self._norms)
        totals = {name: tf.zeros([], precision.full_dtype()) for name in names}
        first_bad = tf.constant(-1, tf.int32)
        for i in tf.range(num_steps):
            values = self.strategy.run(self._replica_step, args=(next(iterator),))
            # All replicas hold the same.
            scalars = {k: self.strategy.experimental_local_results(values[k])[0] for k in names}
            totals = {k: totals[k] + scalars[k] for k in names}
            bad = tf.logical_not(tf.math.is_finite(scalars["loss"] + scalars["gradient_norm"]))
            first_bad = tf.where(tf.logical_and(bad, first_bad < 0), i, first_bad)
        return totals, first_bad

    def run(self, iterator: Iterator, num_steps: int) -> dict[str, float]:
        """Takes `num_steps` steps in one call and returns the mean of each scalar.

        Raises:
          FloatingPointError: a loss or gradient was not finite; names the step.
        """
        start = self.step
        totals, first_bad = self._steps(iterator, tf.constant(num_steps, tf.int32))
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


def _next_stop(step: int, num_steps: int, *periods: int) -> int:
    """Returns where the next call ends: at the nearest multiple of a period, where work is due."""
    return min([num_steps, *((step // p + 1) * p for p in periods if p)])


def fit(
    trainer: Trainer,
    batches: Iterator,
    checkpoints: checkpoints_lib.Checkpoints,
    writer: writer_lib.Writer | None,
    validate: Callable[[], Mapping[str, float]] | None,
    keep_best: Callable[[float | None, int], None],
    *,
    num_steps: int,
    steps_per_call: int,
    checkpoint_every: int,
    validate_every: int,
) -> None:
    """Trains to `num_steps` from wherever the trainer stands: log, save and validate between calls.

    Args:
      trainer: the inner loop.
      batches: distributed, from the trainer's step on.
      checkpoints: where the run is kept.
      writer: where scalars go; None on workers that do not write.
      validate: returns scalars, of which `val/metric` picks the weights, larger is better; None
        without validation.
      keep_best: called with metric and step when validation beats all before; at the end with None
        when there is no validation.
      num_steps: Steps of the whole run.
      steps_per_call: steps between two looks of the host.
      checkpoint_every: steps between two checkpoints.
      validate_every: steps between two validations; 0 keeps the last weights.

    Raises:
      UserError: the loss is not finite; names the step and what to try.
      SystemExit: SIGTERM or Ctrl-C came; the run is saved first.
    """
    if trainer.workers_mean(trainer.step) != trainer.step:
        raise registry.UserError(
            f"the workers do not stand at the same step (this one at {trainer.step}): give all of "
            "them one --workdir, in a folder that they share."
        )
    bar = tqdm.tqdm(
        total=num_steps,
        initial=trainer.step,
        unit="step",
        desc="train",
        disable=writer is None,
        mininterval=0.5,
    )
    with bar, stopping.Stopping() as told:
        while trainer.step < num_steps:
            start = trainer.step
            stop = _next_stop(
                start,
                num_steps,
                steps_per_call,
                checkpoint_every,
                validate_every,
                trainer.recipe.host_every,
            )
            try:
                scalars = trainer.run(batches, stop - start)
            except FloatingPointError as error:
                raise registry.UserError(
                    f"{error}: train into a new --workdir with a lower "
                    "--config.train.learning_rate or with --config.train.clip_norm=5."
                ) from error
            bar.update(stop - start)
            bar.set_postfix(loss=f"{scalars['loss']:.3f}")
            trainer.recipe.between_calls(stop)
            last = stop == num_steps
            # An averaging optimizer's averages are what is evaluated and kept.
            with compat.averaged(trainer.optimizer, trainer.recipe.trainable_weights):
                if validate_every and (stop % validate_every == 0 or last):
                    assert validate is not None, "`validate_every` asks for it"
                    scalars.update(validate())
                    metric = trainer.workers_mean(scalars["val/metric"])
                    if metric > float(checkpoints.best.numpy()):
                        checkpoints.best.assign(metric)
                        keep_best(metric, stop)
                elif last and not validate_every:
                    keep_best(None, stop)
            if writer is not None:
                writer.write(stop, scalars)
            ending = trainer.workers_mean(float(told.number > 0)) > 0
            if stop % checkpoint_every == 0 or last or ending:
                checkpoints.save(stop)
            if ending:
                number = told.number or signal.SIGTERM  # another worker was told
                logging.warning(
                    "%s: saved step %d; the same command continues from there",
                    signal.Signals(number).name,
                    stop,
                )
                raise SystemExit(128 + number)
