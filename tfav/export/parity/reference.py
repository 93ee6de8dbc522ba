"""What artefacts are compared with: the checkpoint's own answers to real inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfav.ops import similarity
from tfav.recipes import outputs
from tfav.recipes import recipe as base

# modality -> (id, item): a waveform [T] float32 in [-1, 1], or a picture [S, S, 3] or its frames
# [F, S, S, 3] uint8.
Inputs = dict[str, Sequence[tuple[str, np.ndarray]]]
# (id, modality -> item): what is classified, or localised, together.
Rows = Sequence[tuple[str, dict[str, np.ndarray]]]


class Reference:
    """The checkpoint's own answers: eagerly, one item at a time, no padding."""

    def __init__(self, recipe: base.Recipe, inputs: Inputs, rows: Rows):
        self.inputs = inputs
        self.rows = rows
        self.names = [name for name, _ in rows]
        self.signatures = tuple(outputs.joint(recipe))
        self._recipe = recipe
        self._known: dict[tuple[str, int | None], Any] = {}

    def items(self, modality: str, max_samples: int | None = None) -> list[np.ndarray]:
        """Returns the inputs of a modality, clips cut to `max_samples`."""
        cut = slice(max_samples if modality == "audio" else None)
        return [item[cut] for _, item in self.inputs[modality]]

    def ids(self, modality: str) -> list[str]:
        """Returns their names."""
        return [name for name, _ in self.inputs[modality]]

    def expected(self, modality: str, max_samples: int | None = None) -> np.ndarray:
        """Returns their embeddings [N, D] float32 of unit norm."""
        key = (modality, max_samples)
        if key not in self._known:
            self._known[key] = self.embed(modality, self.items(modality, max_samples))
        return self._known[key]

    def embed(self, modality: str, items: Sequence[np.ndarray]) -> np.ndarray:
        """Returns [N, D] float32 of unit norm for waveforms [T] or pictures [S, S, 3]."""
        batches = [{modality: tf.constant(item[np.newaxis])} for item in items]
        rows = [self._recipe.embed(modality, batch) for batch in batches]
        return similarity.normalize(tf.concat(rows, axis=0)).numpy()

    def joint(self, max_samples: int | None = None) -> list[dict[str, np.ndarray]]:
        """Returns the rows, clips cut to `max_samples`."""
        return [
            {m: item[: max_samples if m == "audio" else None] for m, item in row.items()}
            for _, row in self.rows
        ]

    def answered(self, name: str, max_samples: int | None = None) -> dict[str, np.ndarray]:
        """Returns what the recipe answers to the rows as the signature `name`, [N, ...] each."""
        key = (name, max_samples)
        if key not in self._known:
            answer = outputs.joint(self._recipe)[name]
            found = [answer(stack_rows([row])) for row in self.joint(max_samples)]
            self._known[key] = stacked(found)
        return self._known[key]


def stacked(found: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Returns answers to several batches as those to one."""
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def stack_rows(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Returns rows as a batch of all their modalities, see `stack`."""
    batch: dict[str, np.ndarray] = {}
    for modality in rows[0]:
        batch |= stack(modality, [row[modality] for row in rows])
    return batch


def stack(modality: str, items: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns items as a batch: pictures of one size, or clips padded to the longest."""
    if modality != "audio":
        return {modality: np.stack(items)}
    num_samples = np.array([len(item) for item in items], np.int32)
    waveform = np.zeros([len(items), num_samples.max()], np.float32)
    for row, item in zip(waveform, items):
        row[: len(item)] = item
    return {"audio": waveform, "num_samples": num_samples}
