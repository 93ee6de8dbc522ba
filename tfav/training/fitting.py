"""The only training loop of the house: steps, and between calls the log, checkpoints, the best."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping

from absl import logging

from tfav import compat, progress, registry
from tfav.training import checkpoints as checkpoints_lib
from tfav.training import pace, stopping
from tfav.training import strategy as strategies
from tfav.training import trainer as trainer_lib
from tfav.training import writer as writer_lib

# A call of several workers ends after so many seconds: who is told to stop has ten to save.
_CALL_SECONDS = 4.0


class TooManyReplaced(Exception):
    """More records of the training data cannot be read than may be."""


def _next_stop(step: int, num_steps: int, *periods: int) -> int:
    """Returns where the next call ends: at the nearest multiple of a period, where work is due."""
    return min([num_steps, *((step // p + 1) * p for p in periods if p)])


def fit(
    trainer: trainer_lib.Trainer,
    batches: Iterator,
    checkpoints: checkpoints_lib.Checkpoints,
    writer: writer_lib.Writer | None,
    validate: Callable[[], Mapping[str, float]] | None,
    keep_best: Callable[[float | None, int], None],
    explain: Callable[[int], str] = lambda step: "",
    replaced: Callable[[int, int, int], bool] = lambda start, stop, count: False,
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
      explain: called with the step whose loss or gradient is not finite, before anything else is
        done; returns what to say of it.
      replaced: called with the first step of a call, the one behind its last, and how many rows
        stood in for bad ones in between, where there were any; says whether there are too many.
      num_steps: Steps of the whole run.
      steps_per_call: steps between two looks of the host.
      checkpoint_every: steps between two checkpoints.
      validate_every: steps between two validations; 0 keeps the last weights.

    Raises:
      UserError: the loss is not finite; names the step and what to try.
      TooManyReplaced: `replaced` said so, on any worker.
      SystemExit: SIGTERM or Ctrl-C came; the run is saved first. The code is 128 and the signal's
        number; 0 where several workers train and were told by SIGTERM, so that none counts as
        failed and takes the others with it.
    """
    if trainer.workers_mean(trainer.step) != trainer.step:
        raise registry.UserError(
            f"the workers do not stand at the same step (this one at {trainer.step}): give all of "
            "them one --workdir, in a folder that they share."
        )
    several = strategies.num_workers(trainer.strategy) > 1
    speed = pace.Pace(trainer.batch_size)
    bar = progress.bar(
        total=num_steps,
        initial=trainer.step,
        unit="step",
        desc="train",
        disable=writer is None,
        mininterval=0.5,
    )
    with bar, stopping.Stopping() as told:
        while trainer.step < num_steps:
            if several:
                its = speed.steps_in(_CALL_SECONDS) or steps_per_call
                steps_per_call = int(trainer.workers_mean(float(min(its, steps_per_call))))
            start, began = trainer.step, time.perf_counter()
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
                    f"{error}{explain(trainer.step - 1)}: train into a new --workdir with a lower "
                    "--config.train.learning_rate or with --config.train.clip_norm=5."
                ) from error
            count = round(scalars.get("replaced", 0.0) * (stop - start))
            if count and trainer.workers_mean(float(replaced(start, stop, count))):
                raise TooManyReplaced
            speed.note(stop - start, time.perf_counter() - began, trainer.data_wait_seconds)
            bar.update(stop - start)
            bar.set_postfix(loss=f"{scalars['loss']:.3f}", **speed.words())
            if speed.is_new:
                with bar.external_write_mode():  # a line of its own
                    logging.info("%s", speed.expectation(num_steps - stop))
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
                raise SystemExit(0 if several and number == signal.SIGTERM else 128 + number)
