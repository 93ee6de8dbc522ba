"""The `.tflite` files of one export in a folder, as one embedder."""

import os
from typing import NoReturn

import numpy as np

from tfav import registry, tensors
from tfav.inference import spaces
from tfav.inference.tflite_embedder import TFLiteEmbedder

SUFFIX = ".tflite"
# Which file is taken of several that hold the same: the most exact one.
PRECISIONS = ("float32", "float16", "int8", "int8_static")
# What answers to rows of all modalities, and how the name of its file begins.
_JOINT = {"classify": "classifier", "localize": "localize", "score_pairs": "score_pairs"}


def found(path: str, precision: str = "") -> dict[str, str]:
    """Returns what the `.tflite` files in a folder hold, such as `audio`, to the path of each.

    Args:
      path: the folder.
      precision: the one wanted, such as `float16`; empty: the most exact of each.
    """
    wanted = [precision] if precision else PRECISIONS
    names = sorted(os.listdir(path))
    held: dict[str, str] = {}
    for one in reversed(wanted):
        for name in names:
            if name.endswith(f"_{one}{SUFFIX}"):
                held[name[: -len(f"_{one}{SUFFIX}")]] = os.path.join(path, name)
    return held


class TFLiteFolder:
    """The files of one export, see `embedders.Embedder`; without TensorFlow where LiteRT is there.

    Args:
      path: the folder.
      precision: see `found`.

    Raises:
      UserError: no such file, one that is damaged or not of our making, or files of two exports.
    """

    def __init__(self, path: str, precision: str = ""):
        self.path = path
        self.files = found(path, precision)
        if not self.files:
            raise registry.UserError(
                f"{path} holds no {precision + ' ' if precision else ''}.tflite: name a folder "
                "that export wrote."
            )
        opened = {name: TFLiteEmbedder(file) for name, file in self.files.items()}
        self._joint = {s: opened.pop(name) for s, name in _JOINT.items() if name in opened}
        self._encoders = {m: one for one in opened.values() for m in one.modalities}
        each = [*self._encoders.values(), *self._joint.values()]
        first = each[0]
        for one in each[1:]:
            spaces.require_same(first.path, first.embedding_space, one.path, one.embedding_space)
        self.items = {m: spec for one in each for m, spec in one.items.items()}
        self.modalities = tuple(sorted(self._encoders))
        self.hearing = first.hearing
        self.embedding_space = first.embedding_space
        self.embedding_size = first.embedding_size
        self.shares_space = first.shares_space
        self.classes = first.classes
        self.threshold = first.threshold
        self.temperature = first.temperature
        self.decisions = first.decisions

    def embed(self, modality: str, batch: tensors.Batch) -> np.ndarray:
        """See `Embedder.embed`."""
        if modality not in self._encoders:
            self._lacks(f".tflite of {modality}")
        return self._encoders[modality].embed(modality, batch)

    def refuses(self, modality: str, item: np.ndarray) -> str:
        """See `Embedder.refuses`."""
        return self._encoders[modality].refuses(modality, item)

    def classify(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """See `Embedder.classify`."""
        return self._answering("classify").classify(batch)

    def localize(self, batch: tensors.Batch) -> np.ndarray:
        """See `Embedder.localize`."""
        return self._answering("localize").localize(batch)

    def score_pairs(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """See `Embedder.score_pairs`."""
        return self._answering("score_pairs").score_pairs(batch)

    def lengths(self, name: str) -> dict[str, int | None]:
        """Returns the signatures of a file to the most samples they take; see `TFLiteEmbedder`.

        Args:
          name: a key of `files`.
        """
        by_file = {one.path: one for one in (*self._encoders.values(), *self._joint.values())}
        return by_file[self.files[name]].lengths

    def _answering(self, signature: str) -> TFLiteEmbedder:
        if signature not in self._joint:
            self._lacks(f"{_JOINT[signature]}_....tflite")
        return self._joint[signature]

    def _lacks(self, what: str) -> NoReturn:
        raise registry.UserError(
            f"{self.path} holds no {what}, but {', '.join(sorted(self.files))}: name the folder of "
            "an export that does."
        )
