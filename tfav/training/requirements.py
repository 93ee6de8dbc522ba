"""What a training asks of its replicas, its optimizer and its batches."""

from typing import Any

import tensorflow as tf

from tfav import registry
from tfav.recipes import recipe as base


def check(
    recipe: base.Recipe,
    optimizer: Any,
    strategy: tf.distribute.Strategy,
    batch_size: int,
    jit_compile: bool,
) -> None:
    """Refuses a training whose replicas would not compute what one does.

    Args:
      recipe: a built recipe.
      optimizer: a built optimizer.
      strategy: where the replicas run.
      batch_size: global.
      jit_compile: Whether XLA compiles the forward and backward pass.

    Raises:
      UserError: that.
    """
    if jit_compile and strategy.num_replicas_in_sync > 1:
        raise registry.UserError(
            "--config.train.jit_compile=True needs one replica and there are "
            f"{strategy.num_replicas_in_sync}, whose sums XLA cannot compile: set it to False, "
            "or give --strategy=one_device."
        )
    if any(recipe.sampled()):
        _check_sampled(optimizer, jit_compile)
    if recipe.sharded() and optimizer is not None and not hasattr(optimizer, "apply_reduced"):
        raise registry.UserError(
            f"the optimizer {type(optimizer).__name__} takes a weight for the same on all replicas "
            "and model.sharded=True spreads one over them: set --config.train.optimizer to sgd or "
            "adam, or model.sharded to False."
        )
    if batch_size < recipe.least_batch:
        raise registry.UserError(
            f"--config.train.batch_size={batch_size} is less than the {recipe.least_batch} rows "
            "that this recipe needs, one for each of its clusters: raise it, or lower "
            "--config.model.num_clusters."
        )
    if batch_size < strategy.num_replicas_in_sync:
        raise registry.UserError(
            f"--config.train.batch_size={batch_size} is less than the "
            f"{strategy.num_replicas_in_sync} replicas, and some of them would have no rows: "
            "give a multiple of their number, or start fewer workers."
        )
    if batch_size % strategy.num_replicas_in_sync:
        raise registry.UserError(
            f"--config.train.batch_size={batch_size} does not divide among "
            f"{strategy.num_replicas_in_sync} "
            "replicas: give a multiple of their number."
        )


def _check_sampled(optimizer: Any, jit_compile: bool) -> None:
    """Refuses what cannot move some rows of a weight alone.

    Raises:
      UserError: that.
    """
    if jit_compile:
        raise registry.UserError(
            "--config.train.jit_compile=True with model.sampled below 1: XLA cannot compile the "
            "draw of classes, set one of them back."
        )
    if optimizer is not None and not hasattr(optimizer, "apply_reduced"):
        raise registry.UserError(
            f"the optimizer {type(optimizer).__name__} moves all rows of a weight in every step, "
            "and model.sampled below 1 reads some alone: set --config.train.optimizer to sgd or "
            "adam, or model.sampled to 1."
        )
