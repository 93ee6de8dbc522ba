"""Vectors of a data set in memory: a batch of them is a gather, without records or decoders."""

import os
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfav import registry
from tfav.data import index_files, kinds, shards

_ROWS = 4096  # that are parsed together


def holds(items: Mapping[str, kinds.Item]) -> bool:
    """Says whether batches are nothing but vectors as they are stored."""
    return all(
        isinstance(item.kind, kinds.ArrayKind) and not item.spec.length and not item.augment
        for item in items.values()
    )


class VectorTable:
    """All vectors of the rows of a split, one matrix per modality.

    Args:
      index: Rows of a split, all of them and in order.
      items: modality to what one item is; `holds` must say yes to it.

    Raises:
      UserError: the shards hold other rows than the index.
      InvalidArgumentError, DataLossError: a record that cannot be used, see `inputs.whole`.
    """

    def __init__(self, index: shards.Index, items: Mapping[str, kinds.Item]):
        self._place: dict[str, tf.Tensor] = {}
        self._values: dict[str, tf.Tensor] = {}
        paths = [os.path.join(index.directory, x) for x in dict.fromkeys(index.shard.tolist())]
        for modality, item in items.items():
            held = index.held(modality)
            blocks = _blocks(paths, modality, item)
            values = np.concatenate(blocks) if blocks else np.zeros([0, item.spec.shape[-1] or 0])
            if len(values) != held.sum():
                raise registry.UserError(
                    f"the shards of {index.directory} hold {len(values)} vectors of {modality} and "
                    f"index.csv {held.sum()}: {index_files.fix_of(index.directory)}."
                )
            with tf.device("/cpu:0"):  # beside a GPU too, whose memory is the network's
                self._place[modality] = tf.constant(np.cumsum(held) - 1)
                self._values[modality] = tf.constant(values)

    def gather(self, modality: str, rows: tf.Tensor) -> tf.Tensor:
        """Returns the vectors [b, D] of rows [b] int64 of the index, which hold the modality."""
        return tf.gather(self._values[modality], tf.gather(self._place[modality], rows))


def _blocks(paths: list[str], modality: str, item: kinds.Item) -> list[np.ndarray]:
    """Returns the vectors of a modality in records, in order, [n, D] each."""
    several = tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
    make: Callable = item.kind.evaluation(modality, item, (1, 1))
    dataset = tf.data.TFRecordDataset(paths)
    dataset = dataset.map(lambda x: tf.io.parse_single_example(x, {modality: several})[modality])
    dataset = dataset.filter(lambda content: tf.size(content) > 0)
    dataset = dataset.map(lambda content: make(content)[modality])
    return list(dataset.batch(_ROWS).prefetch(1).as_numpy_iterator())
