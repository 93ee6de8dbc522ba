"""What one item of a modality is, and how it is batched and served: what an encoder declares.

Pipelines, signatures and embedders read this instead of asking which modality it is.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

# Names that a modality cannot have: inputs, outputs, signatures and files of exports are called so.
RESERVED = (
    *("classifier", "embedding_space", "fused", "jpeg", "localize", "num_samples"),
    *("score_pairs", "shares_space", "waveform", "wav"),
)
_SPACE = "vector_space"  # left out of facts where empty, so that older versions read them


@dataclasses.dataclass(frozen=True)
class ItemSpec:
    """One item of a modality: a waveform, an image or its frames, a vector, a sequence.

    Attributes:
      kind: what reads its files and makes batches of it: a row of `data.kinds.KINDS` or a dotted
        path.
      shape: of an item; None: any size. Such a first axis is padded with zeros in a batch.
      dtype: of its values, as NumPy calls it.
      tensor: its name in signatures; empty: that of the modality.
      length: in batches and signatures, the name of the int32 [B] that counts what of the first
        axis is no padding; empty: the first axis is not padded.
      clip: whether it is a recording at 16 kHz, heard as `hearing.Hearing` says.
      fitted: whether servers take any height and width, and fit it into the square of `shape`.
      file: name of the tensor of whole files that servers take beside it; empty: none.
      vector_space: id of the embedding space of the vectors that the model was trained on; empty:
        they named none, or it is no modality of vectors.
    """

    kind: str
    shape: tuple[int | None, ...]
    dtype: str
    tensor: str = ""
    length: str = ""
    clip: bool = False
    fitted: bool = False
    file: str = ""
    vector_space: str = ""

    def of(self, modality: str, num_frames: int = 1) -> "ItemSpec":
        """Returns the spec of a modality of a recipe: with its name, and its frames if several."""
        several = num_frames > 1
        return dataclasses.replace(
            self,
            tensor=self.tensor or modality,
            shape=(num_frames, *self.shape) if several else self.shape,
            file="" if several or modality != self.kind else self.file,  # one signature of a name
        )

    @property
    def tensors(self) -> tuple[str, ...]:
        """Returns the names of what signatures take of it."""
        return (self.tensor, self.length) if self.length else (self.tensor,)

    @property
    def served_shape(self) -> tuple[int | None, ...]:
        """Returns the shape of an item that a server takes: images of any size, any frames."""
        return (*[None] * (len(self.shape) - 1), self.shape[-1]) if self.fitted else self.shape

    @property
    def side(self) -> int:
        """Returns the side in pixels of the square that a `fitted` item is brought to; else 0."""
        return self.shape[-2] or 0 if self.fitted else 0

    @property
    def num_frames(self) -> int:
        """Returns the frames of a `fitted` item; one of a single image."""
        return self.shape[0] or 1 if self.fitted and len(self.shape) == 4 else 1

    def stack(self, modality: str, items: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Returns items as a batch; what is shorter than the longest is padded with zeros."""
        if not self.length:
            return {modality: np.stack(items)}
        count = np.array([len(item) for item in items], np.int32)
        values = np.zeros([len(items), max(count.max(), 1), *items[0].shape[1:]], self.dtype)
        for row, item in zip(values, items):
            row[: len(item)] = item
        return {modality: values, self.length: count}

    def unstack(self, modality: str, batch: Mapping[str, Any]) -> list[np.ndarray]:
        """Returns the items of a batch, without what pads them."""
        values = np.asarray(batch[modality])
        count = batch.get(self.length) if self.length else None
        if count is None:
            return list(values)
        return [item[: int(n)] for item, n in zip(values, np.asarray(count))]

    def facts(self) -> dict[str, Any]:
        """Returns it as JSON has it, a space only where there is one; see `from_facts`."""
        found = dataclasses.asdict(self)
        return found if self.vector_space else {k: v for k, v in found.items() if k != _SPACE}


def clash(names: Collection[str]) -> str:
    """Says which modality is called as the ids of another one are; empty: none."""
    both = (name for name in names if f"{name}_id" in names)
    return next((f"a file of tfav-embed calls the ids of {n} {n}_id" for n in both), "")


def from_facts(facts: Mapping[str, Any]) -> ItemSpec:
    """Returns the spec that an artefact states.

    Raises:
      KeyError, TypeError: not what `ItemSpec.facts` returns.
    """
    if not isinstance(facts.get(_SPACE, ""), str):
        raise TypeError(f"{_SPACE} is {facts[_SPACE]!r}, which is no text")
    return ItemSpec(**{**facts, "shape": tuple(facts["shape"])})


def clip() -> ItemSpec:
    """Returns the spec of waveforms: [T] float32 in [-1, 1], 16 kHz."""
    return ItemSpec("audio", (None,), "float32", "waveform", "num_samples", clip=True, file="wav")


def image(size: int) -> ItemSpec:
    """Returns the spec of images of `size` pixels: [size, size, 3] uint8 RGB."""
    return ItemSpec("image", (size, size, 3), "uint8", fitted=True, file="jpeg")


def array(size: int, steps: str = "", kind: str = "array") -> ItemSpec:
    """Returns the spec of vectors [size] float32, or of sequences [T, size] of any length.

    Args:
      size: numbers of a vector, or of a step of a sequence.
      steps: of sequences, the name of the tensor that counts their steps; empty: vectors.
      kind: what reads their files, see `ItemSpec`.
    """
    return ItemSpec(kind, (None, size) if steps else (size,), "float32", length=steps)
