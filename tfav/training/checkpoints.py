"""Saving and restoring: whole runs as checkpoints, weights alone as one portable file.

Both are made from the flat dict of named raw variables (see `tfav.weights`), so nothing is lost on
Keras 3 and a weights file of one dependency line loads on the other.
"""

import os
import zipfile
from typing import Any

import numpy as np
import tensorflow as tf

from tfav import compat, registry
from tfav.recipes import base
from tfav.training import strategy as strategies

WEIGHTS_FILE = "weights.npz"


class Checkpoints:
    """Checkpoints of a run: weights, optimizer, best metric.

    The optimizer's iterations are the step, and the step is the input's position.

    Args:
      recipe: a built recipe.
      optimizer: a built optimizer.
      workdir: the run's folder.
      strategy: every worker must save, or one that reads synchronised variables hangs; all but the
        chief save into a folder of their own.
      keep: how many checkpoints stay.
    """

    def __init__(
        self,
        recipe: base.Recipe,
        optimizer: Any,
        workdir: str,
        strategy: tf.distribute.Strategy,
        keep: int,
    ):
        self.best = tf.Variable(-np.inf, dtype=tf.float32, trainable=False, name="best")
        self._weights = recipe.named_weights()
        self._checkpoint = tf.train.Checkpoint(
            weights=self._weights, optimizer=compat.optimizer_state(optimizer), best=self.best
        )
        self._shared = os.path.join(workdir, "checkpoints")
        self._chief = strategies.is_chief(strategy)
        folder = self._shared if self._chief else os.path.join(workdir, f".worker-{os.getpid()}")
        self._manager = tf.train.CheckpointManager(self._checkpoint, folder, max_to_keep=keep)

    def restore(self) -> bool:
        """Restores the latest checkpoint; says whether there was one.

        Raises:
          UserError: the checkpoint does not fit this recipe, or is damaged.
        """
        latest = tf.train.latest_checkpoint(self._shared)
        if latest is None:
            return False
        try:
            status = self._checkpoint.restore(latest)
            status.assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise registry.UserError(
                f"{latest} cannot be restored ({str(error).splitlines()[0]}): delete that "
                f"checkpoint to continue "
                "from the one before, or train into a new --workdir."
            ) from error
        return True

    def save(self, step: int) -> None:
        """Saves the run as it stands after `step` steps."""
        self._manager.save(checkpoint_number=step)
        if not self._chief:
            tf.io.gfile.rmtree(self._manager.directory)


def save_weights(path: str, names: dict[str, tf.Variable], *, write: bool, **facts: float) -> None:
    """Writes variables as one `.npz`, whole or not at all.

    Args:
      path: the file.
      names: structural name to variable.
      write: False on workers that only take part in reading synchronised variables.
      **facts: numbers to keep beside them, such as `step` and `metric`.
    """
    arrays = {name: variable.numpy() for name, variable in names.items()}
    if not write:
        return
    write_npz(path, {**arrays, **{f"fact:{k}": np.asarray(v) for k, v in facts.items()}})


def write_npz(path: str, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays as one `.npz`, whole or not at all: a full disk leaves what was there."""
    temporary = path + ".tmp"
    try:
        with open(temporary, "wb") as f:
            np.savez(f, **arrays)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def load_weights(path: str, names: dict[str, tf.Variable]) -> dict[str, float]:
    """Assigns variables from a `.npz` of `save_weights`; returns the facts beside them.

    Args:
      path: the file, or a workdir that holds `weights.npz`.
      names: structural name to variable: all of them must be in the file, which may hold more.

    Raises:
      UserError: no such file, a damaged one, or a weight that is missing or has another shape.
    """
    if os.path.isdir(path):
        path = os.path.join(path, WEIGHTS_FILE)
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise registry.UserError(
            f"{path} does not exist: train first, or name a workdir that was."
        ) from error
    except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise registry.UserError(
            f"{path} is not a readable weights file ({error}): train again."
        ) from error
    for name, variable in names.items():
        if name not in arrays:
            raise registry.UserError(
                f"{path} has no weight {name}: it was trained with another encoder; use the "
                f"config it was trained with."
            )
        if arrays[name].shape != tuple(variable.shape):
            raise registry.UserError(
                f"{path}: weight {name} has shape {arrays[name].shape} and this model wants "
                f"{tuple(variable.shape)}: "
                "use the config it was trained with."
            )
    for name, variable in names.items():
        variable.assign(arrays[name])
    return {k[len("fact:") :]: float(v) for k, v in arrays.items() if k.startswith("fact:")}
