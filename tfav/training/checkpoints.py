"""Saving and restoring whole runs as checkpoints.

They are made from the flat dict of named raw variables (see `tfav.weights`), so nothing is lost on
Keras 3.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from tfav import compat, files, folders, registry
from tfav.layers import class_shards
from tfav.recipes import recipe as base
from tfav.training import strategy as strategies

_FOLDER = "checkpoints"
_NAME = re.compile(r"ckpt-(\d+)\.(?:index|data-\d{5}-of-\d{5})")


def saved_steps(workdir: str | os.PathLike) -> list[int]:
    """Returns the steps of a run's whole checkpoints, in order; none where there is no folder.

    The files themselves tell, and no list beside them that could be lost: an index gets its name
    last. A user may have deleted a bad checkpoint.
    """
    found = _parts(os.path.join(workdir, _FOLDER))
    return sorted(step for step, names in found.items() if f"ckpt-{step}.index" in names)


def _parts(folder: str) -> dict[int, list[str]]:
    """Returns the names of each checkpoint's files by its step."""
    found: dict[int, list[str]] = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        match = _NAME.fullmatch(name)
        if match:
            found.setdefault(int(match[1]), []).append(name)
    return found


class Checkpoints:
    """Checkpoints of a run: weights, optimizer, best metric.

    The optimizer's iterations are the step, and the step is the input's position. TensorFlow gets
    paths without a name of the user's, see `folders.plain`.

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
        self._optimizer = optimizer
        self._checkpoint = tf.train.Checkpoint(
            weights=recipe.named_weights(),
            optimizer=compat.optimizer_state(optimizer, spread_slots(optimizer, recipe.sharded())),
            best=self.best,
        )
        self._workdir = workdir
        self._shared = os.path.join(workdir, _FOLDER)
        self._chief = strategies.is_chief(strategy)
        self._folder = self._shared
        if not self._chief:
            self._folder = os.path.join(workdir, f".worker-{strategy.cluster_resolver.task_id}")
        self._keep = keep

    def restore(self) -> bool:
        """Restores the latest checkpoint; says whether there was one.

        Raises:
          UserError: the checkpoint does not fit this recipe, or is damaged.
        """
        if self._chief:  # what a killed run has left; no worker saves before all have started
            _remove(self._workdir, r"\.worker-\d+")
            _remove(self._shared, r"ckpt-\d+_temp")
        steps = saved_steps(self._workdir)
        for step in sorted(set(_parts(self._shared)) - set(steps)):
            logging.warning("%s/ckpt-%d has no index and is left out", self._shared, step)
        if not steps:
            return False
        latest = os.path.join(self._shared, f"ckpt-{steps[-1]}")
        fix = "train into a new --workdir"
        if len(steps) > 1:
            fix = f"delete {latest}.* to continue from ckpt-{steps[-2]}, or {fix}"
        with folders.plain(self._shared) as place:
            try:
                status = self._checkpoint.read(os.path.join(place, os.path.basename(latest)))
                status.assert_existing_objects_matched()
            except (AssertionError, ValueError) as error:
                raise registry.UserError(
                    f"{latest} holds other variables than this experiment has (other encoders, "
                    "another optimizer or the other dependency set): train into a new --workdir."
                ) from error
            except (tf.errors.OpError, IndexError) as error:  # IndexError: a file is cut short
                text = _plain(error).replace(place, self._shared)
                raise registry.UserError(f"{latest} is damaged ({text}): {fix}.") from error
        found = int(self._optimizer.iterations.numpy())
        if found != steps[-1]:
            raise registry.UserError(f"{latest} was saved after step {found}, not there: {fix}.")
        if self._chief:
            self._tidy()  # a run may have been killed before it had
        return True

    def save(self, step: int) -> None:
        """Saves the run as it stands after `step` steps, whole or not at all.

        Raises:
          OSError: the disk is full; names the folder.
        """
        name = f"ckpt-{step}"
        made = os.path.join(self._folder, f"{name}_temp")
        try:
            os.makedirs(made, exist_ok=True)
            with folders.plain(made) as place:
                self._checkpoint.write(os.path.join(place, name))
            if self._chief:
                self._publish(made, step)
        except (OSError, tf.errors.OpError) as error:
            if "No space left on device" not in str(error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._folder) from error
        finally:
            shutil.rmtree(made if self._chief else self._folder, ignore_errors=True)

    def _publish(self, made: str, step: int) -> None:
        """Moves a checkpoint's files to their place, the index last; deletes the oldest."""
        index = f"ckpt-{step}.index"
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self._shared, index))
        for name in sorted(os.listdir(made), key=lambda name: name == index):
            os.replace(os.path.join(made, name), os.path.join(self._shared, name))
        self._tidy()

    def _tidy(self) -> None:
        """Lists the checkpoints that stay, and deletes what is older."""
        kept = saved_steps(self._workdir)[-self._keep :]
        lines = [f'model_checkpoint_path: "ckpt-{kept[-1]}"']
        lines += [f'all_model_checkpoint_paths: "ckpt-{step}"' for step in kept]
        text = "\n".join(lines) + "\n"
        # For `tf.train.latest_checkpoint` of others.
        path = os.path.join(self._shared, "checkpoint")
        if _content(path) != text.encode():  # a run that only looks changes nothing
            files.write_text(path, text)
        for old in _parts(self._shared):
            if old < kept[0]:
                _remove(self._shared, rf"ckpt-{old}\.index")
                _remove(self._shared, rf"ckpt-{old}\.data-.*")


def spread_slots(optimizer: Any, sharded: Mapping[int, int]) -> dict[int, class_shards.Spread]:
    """Returns the whole slots of weights that the replicas share, by `id` of the raw variable.

    Args:
      optimizer: a built one: of sgd or adam, where there are such weights.
      sharded: Position of each such weight to its rows in all.
    """
    found = {}
    for i, rows in sharded.items():
        for name in optimizer.slot_lists:
            for slot in list(getattr(optimizer, name))[i : i + 1]:
                found[id(compat.raw(slot))] = class_shards.Spread(compat.raw(slot), rows)
    return found


def _plain(error: Exception) -> str:
    """Returns what an error says, without the names that TensorFlow puts around it."""
    text = getattr(error, "message", str(error)).splitlines()[0]
    text = re.sub(r"\{\{function_node .*?\}\} ?", "", text)
    return re.sub(r" ?\[Op:\w+\].*$", "", text).strip()


def _content(path: str) -> bytes:
    """Returns what a file holds, nothing where there is none."""
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        return file.read()


def _remove(folder: str, form: str) -> None:
    """Removes the files and folders in `folder` whose whole name is of the form."""
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        if not re.fullmatch(form, name):
            continue
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.remove(path)
