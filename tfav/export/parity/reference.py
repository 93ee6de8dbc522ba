"""What artefacts are compared with: the checkpoint's own answers to real inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfav.recipes import outputs
from tfav.recipes import recipe as base

# modality -> (id, item): a waveform [T] float32 in [-1, 1], or an image [S, S, 3] or its frames
# [F, S, S, 3] uint8.
Items = Mapping[str, Sequence[tuple[str, np.ndarray]]]
# (id, modality -> item): what is classified, localised or scored together.
Rows = Sequence[tuple[str, dict[str, np.ndarray]]]


_BATCH_SIZE = 16


class Reference:
    """The checkpoint's own answers: eagerly and without padding.

    Items of one shape are embedded together, rows one at a time.

    Clips are heard as `outputs.embedding` hears them.
    """

    def __init__(self, recipe: base.Recipe, items: Items, rows: Rows):
        self.specs = outputs.item_specs(recipe)
        self.names = [name for name, _ in rows]
        self.signatures = tuple(outputs.joint(recipe))
        self._items = items
        self._rows = rows
        self._recipe = recipe
        self._known: dict[tuple[str, int | None], Any] = {}

    def cut(self, modality: str, item: np.ndarray, max_steps: int | None) -> np.ndarray:
        """Returns the first `max_steps` of an item that is padded, others as they are."""
        return item[:max_steps] if self.specs[modality].length else item

    def stack(self, modality: str, items: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Returns items as a batch."""
        return self.specs[modality].stack(modality, items)

    def stack_rows(self, rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Returns rows as a batch of all their modalities."""
        batch: dict[str, np.ndarray] = {}
        for modality in rows[0]:
            batch |= self.stack(modality, [row[modality] for row in rows])
        return batch

    def items(self, modality: str, max_steps: int | None = None) -> list[np.ndarray]:
        """Returns the inputs of a modality, cut as `cut` does."""
        return [self.cut(modality, item, max_steps) for _, item in self._items[modality]]

    def ids(self, modality: str) -> list[str]:
        """Returns their names."""
        return [name for name, _ in self._items[modality]]

    def expected(self, modality: str, max_steps: int | None = None) -> np.ndarray:
        """Returns their embeddings [N, D] float32 of unit norm."""
        key = (modality, max_steps)
        if key not in self._known:
            self._known[key] = self.embed(modality, self.items(modality, max_steps))
        return self._known[key]

    def embed(self, modality: str, items: Sequence[np.ndarray]) -> np.ndarray:
        """Returns [N, D] float32 of unit norm for waveforms [T] or images [S, S, 3]."""
        places: dict[tuple[int, ...], list[int]] = {}
        for place, item in enumerate(items):
            places.setdefault(item.shape, []).append(place)
        found: dict[int, np.ndarray] = {}
        for alike in places.values():
            for start in range(0, len(alike), _BATCH_SIZE):
                chunk = alike[start : start + _BATCH_SIZE]
                batch = self.stack(modality, [items[place] for place in chunk])
                found |= zip(chunk, outputs.embedding(self._recipe, modality, batch).numpy())
        return np.stack([found[place] for place in range(len(items))])

    def joint(self, max_steps: int | None = None) -> list[dict[str, np.ndarray]]:
        """Returns the rows, cut as `cut` does."""
        return [
            {m: self.cut(m, item, max_steps) for m, item in row.items()} for _, row in self._rows
        ]

    def answered(self, name: str, max_steps: int | None = None) -> dict[str, np.ndarray]:
        """Returns what the recipe answers to the rows as the signature `name`, [N, ...] each."""
        key = (name, max_steps)
        if key not in self._known:
            self._known[key] = self.answer(name, self.joint(max_steps))
        return self._known[key]

    def answer(self, name: str, rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Returns what the recipe answers to rows as the signature `name`, [N, ...] each."""
        answer = outputs.joint(self._recipe)[name]
        batches = [self.stack_rows([row]) for row in rows]
        return stacked([answer(outputs.hear(self._recipe, batch)) for batch in batches])


def stacked(found: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Returns answers to several batches as those to one."""
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}
