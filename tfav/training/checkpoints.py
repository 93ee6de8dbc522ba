"""Saving and restoring: whole runs as checkpoints, weights alone as one portable file.

Both are made from the flat dict of named raw variables (see `tfav.weights`), so nothing is lost on
Keras 3 and a weights file of one dependency line loads on the other.
"""

import errno
import os
import zipfile
from typing import Any

import numpy as np
import tensorflow as tf

from tfav import compat, files, registry
from tfav.recipes import recipe as base
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
        # float64, as metrics are: a tie must not pass for a gain.
        self.best = tf.Variable(-np.inf, dtype=tf.float64, trainable=False, name="best")
        self._weights = recipe.named_weights()
        self._checkpoint = tf.train.Checkpoint(
            weights=self._weights, optimizer=compat.optimizer_state(optimizer), best=self.best
        )
        self._workdir = workdir
        self._shared = os.path.join(workdir, "checkpoints")
        self._chief = strategies.is_chief(strategy)
        folder = self._shared
        if not self._chief:
            folder = os.path.join(workdir, f".worker-{strategy.cluster_resolver.task_id}")
        self._manager = tf.train.CheckpointManager(self._checkpoint, folder, max_to_keep=keep)

    def restore(self) -> bool:
        """Restores the latest checkpoint; says whether there was one.

        Raises:
          UserError: the checkpoint does not fit this recipe, or is damaged.
        """
        if self._chief:  # what a killed run has left; no worker saves before all have started
            _remove(self._workdir, ".worker-*", "checkpoints/ckpt-*_temp")
        latest = self._latest()
        if latest is None:
            return False
        try:
            self._checkpoint.restore(latest).assert_existing_objects_matched()
        except (AssertionError, ValueError) as error:
            raise registry.UserError(
                f"{latest} holds other variables than this experiment has (other encoders, another "
                "optimizer or the other dependency line): train into a new --workdir."
            ) from error
        except tf.errors.OpError as error:
            raise registry.UserError(
                f"{latest} is damaged ({error.message.splitlines()[0]}): delete {latest}.* to "
                "continue from the checkpoint before, or train into a new --workdir."
            ) from error
        return True

    def _latest(self) -> str | None:
        """Returns the newest checkpoint that is still there: a user may have deleted a bad one."""
        state = tf.train.get_checkpoint_state(self._shared)
        paths = state.all_model_checkpoint_paths if state else []
        return next((p for p in reversed(paths) if tf.io.gfile.exists(p + ".index")), None)

    def save(self, step: int) -> None:
        """Saves the run as it stands after `step` steps, whole or not at all.

        Raises:
          OSError: the disk is full; names the folder.
        """
        folder = self._manager.directory
        try:
            self._manager.save(checkpoint_number=step)
        except (OSError, tf.errors.OpError) as error:
            if tf.train.latest_checkpoint(folder) != os.path.join(folder, f"ckpt-{step}"):
                _remove(folder, f"ckpt-{step}.*", f"ckpt-{step}_temp", "checkpoint.tmp*")
            if "No space left on device" not in str(error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder) from error
        finally:
            if not self._chief:
                _remove(self._workdir, os.path.basename(folder))


def _remove(folder: str, *patterns: str) -> None:
    for pattern in patterns:
        for path in tf.io.gfile.glob(os.path.join(folder, pattern)):
            if tf.io.gfile.isdir(path):
                tf.io.gfile.rmtree(path)
            else:
                tf.io.gfile.remove(path)


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
    files.write_npz(path, {**arrays, **{f"fact:{k}": np.asarray(v) for k, v in facts.items()}})


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
