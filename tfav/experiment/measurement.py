"""What a figure was measured on: the key it is stored and found under."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections

from tfav import config_file, files, registry
from tfav.data import index_files
from tfav.training import weights_file

# Of a config's `eval`, what changes no figure: which protocols, and how many rows at a time.
_NO_SETTING = ("protocols", "batch_size")
# What changes the figures of one protocol alone: those of others stay what they were before it.
_OF_ONE = {"binarise": "localisation"}


class Measured(NamedTuple):
    """What figures were measured on: two measurements alike in it have the same figures.

    Attributes:
      protocol: a row of `table.PROTOCOLS` or a dotted path.
      tags: which query lists or splits; empty where the protocol reads the whole data.
      data: SHA-256 of the data's index.csv.
      lists: file name of each list that was read to its SHA-256.
      weights: SHA-256 of the file of weights.
      settings: the fields of the config's `eval` that change figures.
      seed: Random seed of the bootstrap resampling and of what else is drawn.
    """

    protocol: str
    tags: tuple[str, ...]
    data: str
    lists: Mapping[str, str]
    weights: str
    settings: Mapping[str, Any]
    seed: int

    @property
    def key(self) -> str:
        """Names the measurement, for a file."""
        text = json.dumps(self.to_json(), sort_keys=True)
        words = "-".join([self.protocol.rpartition(".")[2], *self.tags])
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in words)[:60]
        return f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return {**self._asdict(), "tags": list(self.tags)}


def measured(
    c: ml_collections.ConfigDict,
    protocol: str,
    *,
    tags: Sequence[str],
    data: str,
    lists: Mapping[str, str | os.PathLike],
    weights: str,
    seed: int,
) -> Measured:
    """Returns what figures are measured on.

    Args:
      c: of the run.
      protocol: its name.
      tags: which query lists or splits it takes; none where it takes no tags.
      data: SHA-256 of the data's index.csv.
      lists: file name to path of the lists it reads.
      weights: SHA-256 of the weights.
      seed: Random seed.
    """
    hashes = {name: files.sha256(path) for name, path in lists.items()}
    return Measured(protocol, tuple(tags), data, hashes, weights, settings(c, protocol), seed)


def settings(c: ml_collections.ConfigDict, protocol: str) -> dict[str, Any]:
    """Returns the fields of a config's `eval` that change the figures of a protocol."""
    its = json.loads(config_file.to_json(c))["eval"]
    return {
        name: value
        for name, value in its.items()
        if name not in _NO_SETTING and _OF_ONE.get(name, protocol) == protocol
    }


def weights_sha256(workdir: str) -> str:
    """Returns the SHA-256 of the weights that a run has kept.

    Raises:
      UserError: it has kept none.
    """
    path = os.path.join(workdir, weights_file.FILE)
    if not os.path.exists(path):
        raise registry.UserError(f"{path} does not exist: train first, or name a workdir that was.")
    return files.sha256(path)


def data_sha256(directory: str) -> str:
    """Returns the SHA-256 by which a data set is known, wherever TensorFlow reads files.

    Raises:
      UserError: no prepared data set there.
    """
    return index_files.sha256(directory)
