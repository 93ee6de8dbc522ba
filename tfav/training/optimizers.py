"""Optimizers by name, and the learning rate over steps.

Some rows come from tensorflow-addons; where Keras 3 has the same optimizer itself, the name works
with both dependency sets. All others fail at once with a sentence that names the extra.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from tfav import compat, registry
from tfav.training import row_updates

Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


class SGD(keras.optimizers.SGD):
    """Keras's SGD by one kernel per weight instead of eight, where gradients are already summed."""

    slot_lists = ("momentums",)  # attributes that hold a slot of each weight, or are empty

    def apply_reduced(self, gradients: list[tf.Tensor | None], variables: list[Any]) -> None:
        """Moves this replica's copy of every weight; each replica is given the same gradients.

        Args:
          gradients: summed over replicas; `tf.IndexedSlices` of some rows, each once; None: stays.
          variables: the weights the optimizer was built with, in that order.
        """
        rate = _rate_of(self, variables)
        slots = self.momentums if self.momentum else [None] * len(variables)
        for weight, gradient, slot in zip(variables, gradients, slots):
            if gradient is None:
                continue
            handle = compat.raw(weight).handle
            momentum = None if slot is None else compat.raw(slot).handle
            if isinstance(gradient, tf.IndexedSlices):
                row_updates.descend(handle, momentum, gradient, rate, self.momentum)
            elif momentum is None:
                tf.raw_ops.ResourceApplyGradientDescent(var=handle, alpha=rate, delta=gradient)
            else:
                tf.raw_ops.ResourceApplyKerasMomentum(
                    var=handle,
                    accum=momentum,
                    lr=rate,
                    grad=gradient,
                    momentum=tf.constant(self.momentum, rate.dtype),
                )
        compat.raw(self.iterations).assign_add(1)


def _rate_of(optimizer: Any, variables: list[Any]) -> tf.Tensor:
    """Returns the learning rate of this step, computed once, in the type of the weights."""
    rate = optimizer._learning_rate(compat.raw(optimizer.iterations))
    return tf.cast(rate, compat.raw(variables[0]).dtype)


class Adam(keras.optimizers.Adam):
    """Keras's Adam by one kernel per weight, where gradients are already summed."""

    slot_lists = ("_momentums", "_velocities")

    def apply_reduced(self, gradients: list[tf.Tensor | None], variables: list[Any]) -> None:
        """Moves this replica's copy of every weight; see `SGD.apply_reduced`."""
        rate = _rate_of(self, variables)
        step = tf.cast(compat.raw(self.iterations) + 1, rate.dtype)
        betas = tf.constant(self.beta_1, rate.dtype), tf.constant(self.beta_2, rate.dtype)
        powers = [tf.pow(beta, step) for beta in betas]
        slots = zip(gradients, variables, self._momentums, self._velocities)
        for gradient, *held in slots:
            if gradient is None:
                continue
            weight, first, second = (compat.raw(variable).handle for variable in held)
            if isinstance(gradient, tf.IndexedSlices):
                row_updates.adapt(
                    weight,
                    first,
                    second,
                    gradient,
                    rate=rate,
                    betas=betas,
                    powers=(powers[0], powers[1]),
                    epsilon=self.epsilon,
                )
                continue
            tf.raw_ops.ResourceApplyAdam(
                var=weight,
                m=first,
                v=second,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=rate,
                beta1=betas[0],
                beta2=betas[1],
                epsilon=tf.constant(self.epsilon, rate.dtype),
                grad=gradient,
            )
        compat.raw(self.iterations).assign_add(1)


def _sgd(rate: Rate, momentum: float) -> Any:
    return SGD(rate, momentum=momentum)


def _adam(rate: Rate, momentum: float) -> Any:
    del momentum
    return Adam(rate)


def _lamb(rate: Rate, momentum: float) -> Any:
    del momentum
    if compat.KERAS_3:
        return keras.optimizers.Lamb(rate)
    return compat.addons("lamb").optimizers.LAMB(rate)


def _rectified_adam(rate: Rate, momentum: float) -> Any:
    del momentum
    return compat.addons("rectified_adam").optimizers.RectifiedAdam(rate)


def _lookahead(rate: Rate, momentum: float) -> Any:
    addons = compat.addons("lookahead")
    return addons.optimizers.Lookahead(keras.optimizers.legacy.SGD(rate, momentum=momentum))


def _moving_average(rate: Rate, momentum: float) -> Any:
    addons = compat.addons("moving_average")
    return addons.optimizers.MovingAverage(keras.optimizers.legacy.SGD(rate, momentum=momentum))


# `momentum` reaches the rows built on SGD; the adaptive ones keep their published constants. Weight
# decay is not here: the trainer adds coupled L2 to the gradient, alike for every optimizer.
OPTIMIZERS: dict[str, Callable[[Rate, float], Any]] = {
    "sgd": _sgd,
    "adam": _adam,
    "lamb": _lamb,
    "rectified_adam": _rectified_adam,
    "lookahead": _lookahead,
    "moving_average": _moving_average,
}

# What each of them keeps per weight besides, in sizes of that weight.
SLOTS = {
    "sgd": 1,
    "adam": 2,
    "lamb": 2,
    "rectified_adam": 2,
    "lookahead": 2,
    "moving_average": 2,
}


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up; then `factor` at each boundary (`step`), a `cosine`, or a `constant`."""

    def __init__(
        self,
        rate: float,
        *,
        schedule: str,
        num_steps: int,
        warmup_steps: int = 0,
        boundaries: tuple[int, ...] = (),
        factor: float = 0.1,
    ):
        self.rate = rate
        self.schedule = schedule
        self.num_steps = num_steps
        self.warmup_steps = warmup_steps
        self.boundaries = tuple(boundaries)
        self.factor = factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of a 0-based step."""
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self.rate, tf.float32)
        if self.schedule == "step":
            for boundary in self.boundaries:
                rate *= tf.where(step >= boundary, self.factor, 1.0)
        elif self.schedule == "cosine":
            span = max(1, self.num_steps - self.warmup_steps)
            progress = tf.clip_by_value((step - self.warmup_steps) / span, 0.0, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(3.141592653589793 * progress))
        if self.warmup_steps:
            rate *= tf.minimum(1.0, (step + 1.0) / self.warmup_steps)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "rate": self.rate,
            "schedule": self.schedule,
            "num_steps": self.num_steps,
            "warmup_steps": self.warmup_steps,
            "boundaries": self.boundaries,
            "factor": self.factor,
        }


SCHEDULES = ("constant", "step", "cosine")


def create(
    name: str,
    rate: float,
    *,
    schedule: str,
    num_steps: int,
    warmup_steps: int = 0,
    boundaries: tuple[int, ...] = (),
    factor: float = 0.1,
    momentum: float = 0.9,
) -> Any:
    """Returns an unbuilt optimizer.

    Args:
      name: a row of `OPTIMIZERS`.
      rate: peak learning rate.
      schedule: `constant`, `step` or `cosine`.
      num_steps: length of the run, where the cosine ends.
      warmup_steps: steps of linear warm-up.
      boundaries: steps at which `step` multiplies by `factor`.
      factor: see `boundaries`.
      momentum: Momentum of the rows built on SGD.

    Raises:
      UserError: unknown name or schedule, or an optimizer of the other dependency line.
    """
    if schedule not in SCHEDULES:
        raise registry.UserError(
            f"--config.train.schedule={schedule}: choose one of {', '.join(SCHEDULES)}."
        )
    decay = Schedule(
        rate,
        schedule=schedule,
        num_steps=num_steps,
        warmup_steps=warmup_steps,
        boundaries=boundaries,
        factor=factor,
    )
    wanted = registry.function("learning_rate", "momentum")
    made = registry.lookup(OPTIMIZERS, name, "optimizer", wanted)(decay, momentum)
    if not hasattr(made, "apply_gradients"):  # Keras and tensorflow-addons share no class
        raise registry.UserError(
            f"optimizer {name!r} gives a {type(made).__name__}: name a function that gives an "
            "optimizer of Keras."
        )
    return made
