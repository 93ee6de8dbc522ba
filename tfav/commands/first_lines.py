"""What a training says before its first step: where it computes, on what, and how large it is."""

import collections
from collections.abc import Iterator
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from tfav.data import shards
from tfav.layers import class_shards
from tfav.recipes import recipe as base
from tfav.training import strategy

_MEGA = 1e6


def lines(
    c: ml_collections.ConfigDict,
    index: shards.Index,
    recipe: base.Recipe,
    optimizer: Any,
    replicas: tf.distribute.Strategy,
) -> Iterator[str]:
    """Yields lines on the devices, the data, the parameters and the memory that these take.

    Args:
      c: Config of the phase.
      index: of the data.
      recipe: built.
      optimizer: built.
      replicas: where it computes.
    """
    devices = collections.Counter(d.device_type for d in tf.config.list_logical_devices())
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(devices.items()))
    num = replicas.num_replicas_in_sync
    yield f"devices: {told} here; {num} {'replica' if num == 1 else 'replicas'} in all"
    splits = [
        f"{split} {np.sum(index.split == split)} rows of {len(index.labels(split))} labels"
        for split in dict.fromkeys(index.split.tolist())
    ]
    yield f"data: {index.directory}, {'; '.join(splits)}; trains on {c.data.train_split}"
    yield _input(c, index.select(c.data.train_split), strategy.num_workers(replicas))
    weights = recipe.named_weights().values()
    spread = [its for its in weights if isinstance(its, class_shards.Spread)]
    trained = _values(recipe.trainable_weights) + _values(spread)
    trained -= _values(its.variable for its in spread)  # of which a replica has some rows alone
    yield (
        f"parameters: {trained / _MEGA:.3g} M trained, of {_values(weights) / _MEGA:.3g} M in all"
    )
    held = [its.variable if isinstance(its, class_shards.Spread) else its for its in weights]
    yield (
        f"memory: weights {_bytes(held) / _MEGA:.3g} MB, optimizer "
        f"{_bytes(optimizer.variables) / _MEGA:.3g} MB on each replica; activations come on top"
    )


def _input(c: ml_collections.ConfigDict, index: shards.Index, num_workers: int) -> str:
    """Returns what each worker reads: its rows of every step, by byte range from all shards."""
    rows = c.train.batch_size // num_workers
    names = np.unique(index.shard)
    shown = f"{len(names)} {'shard' if len(names) == 1 else 'shards'}"
    size = index.length.sum() / _MEGA
    if num_workers == 1:
        return f"input: {rows} rows per step, of {len(index)} rows in {shown} ({size:.3g} MB)"
    return (
        f"input: each of {num_workers} workers reads {rows} of the {c.train.batch_size} rows of a "
        f"step, by byte range from {'the one shard' if len(names) == 1 else f'all {shown}'} "
        f"({len(index)} rows, {size:.3g} MB): about "
        f"{len(index) / num_workers:.3g} rows and {size / num_workers:.3g} MB per epoch"
    )


def _values(variables: Any) -> int:
    return sum(int(np.prod(v.shape)) for v in variables)


def _bytes(variables: Any) -> int:
    """Returns the bytes of variables, of TensorFlow or of either Keras."""
    if callable(variables):  # Keras 2
        variables = variables()
    return sum(int(np.prod(v.shape)) * tf.as_dtype(v.dtype).size for v in variables)
