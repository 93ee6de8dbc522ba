"""The identities that a batch is drawn from, with the rows of each."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from absl import logging

from tfav.data import shards


@dataclasses.dataclass(frozen=True)
class Pool:
    """The identities one can draw, each with at least one row of sound and one of sight.

    Attributes:
      label: [M] int32, class of each identity: its rank in the split's labels.
      audio_rows: [A] int64, rows of the index that hold sound, identity by identity.
      audio_first: [M] int64, where in `audio_rows` an identity begins.
      audio_count: [M] int64, how many of them are its own.
      image_rows: [I] int64; likewise `image_first`, `image_count` [M].
    """

    label: np.ndarray
    audio_rows: np.ndarray
    audio_first: np.ndarray
    audio_count: np.ndarray
    image_rows: np.ndarray
    image_first: np.ndarray
    image_count: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


def make_pool(index: shards.Index, labels: Sequence[str]) -> Pool:
    """Groups the rows of one split by identity, in the order of `labels`.

    Identities with one modality only make no pair: they are left out, and the log counts them.

    Args:
      index: rows of one split.
      labels: the split's labels; an identity's class is its rank there.
    """
    rank = {label: number for number, label in enumerate(labels)}
    identity = np.array([rank[label] for label in index.label], np.int64)
    columns = {}
    counts = {}
    for name, has in ((m, index.held(m)) for m in ("audio", "image")):
        rows = np.flatnonzero(has)
        columns[name] = rows[np.argsort(identity[rows], kind="stable")]
        counts[name] = np.bincount(identity[rows], minlength=len(labels))
    usable = (counts["audio"] > 0) & (counts["image"] > 0)
    alone = np.flatnonzero(~usable & (counts["audio"] + counts["image"] > 0))
    if len(alone):
        logging.warning(
            "%s: %d of %d identities have one modality only and are ignored (first: %s)",
            index.directory,
            len(alone),
            len(labels),
            labels[alone[0]],
        )
    first = {name: np.cumsum(count) - count for name, count in counts.items()}
    return Pool(
        label=np.flatnonzero(usable).astype(np.int32),
        audio_rows=columns["audio"],
        audio_first=first["audio"][usable],
        audio_count=counts["audio"][usable],
        image_rows=columns["image"],
        image_first=first["image"][usable],
        image_count=counts["image"][usable],
    )
