"""The weights of a run alone, as one portable file with a checksum.

It is made from the flat dict of named raw variables (see `tfav.weights`), so nothing is lost on
Keras 3, and a file of one dependency set loads on the other.
"""

import hashlib
import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfav import files, registry

FILE = "weights.npz"
_CHECKSUM = "sha256"  # the entry of weights.npz that holds it
_FACT = "fact:"  # begins the names of what is no weight


def save(path: str, names: dict[str, tf.Variable], *, write: bool, **facts: float) -> None:
    """Writes variables as one `.npz` with a checksum of them all, whole or not at all.

    Args:
      path: the file.
      names: structural name to variable.
      write: False on workers that only take part in reading synchronised variables.
      **facts: numbers to keep beside them, such as `step` and `metric`.
    """
    arrays = {name: variable.numpy() for name, variable in names.items()}
    if not write:
        return
    arrays |= {f"{_FACT}{name}": np.asarray(value) for name, value in facts.items()}
    # First: a directory that is cut short has lost what came last.
    files.write_npz(path, {_CHECKSUM: np.asarray(_checksum(arrays)), **arrays})


def load(path: str, names: dict[str, tf.Variable]) -> dict[str, float]:
    """Assigns variables from a `.npz` of `save`; returns the facts beside them.

    Args:
      path: the file, or a workdir that holds `weights.npz`.
      names: structural name to variable: all of them must be in the file, which may hold more.

    Raises:
      UserError: no such file, a damaged one, or a weight that is missing or has another shape.
    """
    if os.path.isdir(path):
        path = os.path.join(path, FILE)
    arrays, facts = read(path)
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
        if (arrays[name].dtype.kind == "f") != variable.dtype.is_floating:
            raise registry.UserError(
                f"{path}: weight {name} is of type {arrays[name].dtype} and this model wants "
                f"{variable.dtype.name}: use the config it was trained with."
            )
    for name, variable in names.items():
        variable.assign(arrays[name])
    return facts


def read(path: str) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Returns the weights in a `.npz` of `save` by name, and the facts beside them.

    Raises:
      UserError: no such file, or it is damaged.
    """
    fix = "restore it from a copy, or train again"
    try:
        arrays = files.read_npz(path)
        facts = {n[len(_FACT) :]: float(v) for n, v in arrays.items() if n.startswith(_FACT)}
    except FileNotFoundError as error:
        raise registry.UserError(
            f"{path} does not exist: train first, or name a workdir that was."
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise registry.UserError(
            f"{path} is not a readable weights file ({error}): {fix}."
        ) from error
    checksum = arrays.pop(_CHECKSUM, None)  # files of older versions have none
    odd = [name for name, value in arrays.items() if value.dtype.kind not in "biuf"]
    if odd or checksum not in (None, _checksum(arrays)):
        what = f"{odd[0]} holds no numbers" if odd else "its checksum does not fit"
        raise registry.UserError(f"{path} is damaged, {what}: {fix}.")
    return {n: v for n, v in arrays.items() if not n.startswith(_FACT)}, facts


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
