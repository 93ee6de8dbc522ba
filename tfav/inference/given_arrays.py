"""What a caller gives, as a list; arrays as items of a modality: which, and whether they fit."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfav import items, registry
from tfav.inference import embedders
from tfav.media import bad_file, mono

# A path, an item as an array, or several of one kind.
Given = str | os.PathLike | np.ndarray | Sequence[str | os.PathLike | np.ndarray]
_ONE = (str, os.PathLike, np.ndarray)


def listed(given: Given) -> list[Any]:
    """Returns one or several paths or arrays as a list.

    Raises:
      UserError: there is none, or what is given is something else.
    """
    if isinstance(given, _ONE):
        return [given]
    whole = isinstance(given, (bytes, Mapping)) or hasattr(given, "_fields")  # a named tuple
    found = list(given) if isinstance(given, Iterable) and not whole else [given]
    if not found:
        raise registry.UserError("there is nothing to embed: give at least one path or array.")
    for one in found:
        if not isinstance(one, _ONE):
            raise registry.UserError(
                f"{type(one).__name__} is neither a path nor an array: give paths of files or "
                "folders, or NumPy arrays; embeddings are compared by `similarity` and `match`."
            )
    return found


def modality_of(embedder: embedders.Embedder, array: np.ndarray) -> str:
    """Returns the modality that an array is one item of, by its axes and its kind of values.

    Raises:
      UserError: it fits none of the embedder's, or several.
    """
    fits = [m for m in embedder.modalities if _fits(embedder.items[m], array)]
    if len(fits) != 1:
        raise registry.UserError(
            f"an array of {array.dtype} {list(array.shape)} is not one item of "
            f"{' or '.join(fits or embedder.modalities)} alone: give clips as float32 [T] and "
            "images as uint8 [H, W, 3], or name the modality."
        )
    return fits[0]


def checked(
    embedder: embedders.Embedder, modality: str, place: int, item: np.ndarray
) -> np.ndarray:
    """Returns an array as its modality takes it; refuses what the reader of files refuses.

    Args:
      embedder: that takes it.
      modality: one of the embedder's.
      place: of the array among those that were given, for messages.
      item: the array.

    Raises:
      UserError: another shape or type, or content that cannot be embedded.
    """
    spec = embedder.items[modality]
    if not _fits(spec, item):
        shape = ["any" if size is None else size for size in spec.served_shape]
        raise registry.UserError(
            f"item {place} is {item.dtype} {list(item.shape)}: give {modality} as {spec.dtype} "
            f"{shape}."
        )
    if not spec.clip and not item.size:
        raise registry.UserError(f"item {place} is empty: give another.")
    item = item.astype(spec.dtype, copy=False)
    if not spec.clip and item.dtype.kind == "f" and not np.isfinite(item).all():
        raise registry.UserError(f"item {place} holds NaN or infinite values: give another.")
    try:
        if spec.clip:
            item = mono.checked(item)
    except bad_file.BadFile as error:
        raise registry.UserError(f"item {place} {error.reason}: give another.") from error
    refusal = embedder.refuses(modality, item)
    if refusal:
        raise registry.UserError(f"item {place} {refusal}.")
    if spec.fitted:
        item = embedders.fitted(item, spec.side)
        if len(spec.shape) == 4:  # one image stands for all frames
            item = np.broadcast_to(item, (spec.num_frames, *item.shape[-3:]))
    return item


def _fits(spec: items.ItemSpec, array: np.ndarray) -> bool:
    """Says whether an array has the axes, sizes and kind of values of one item."""
    axes = {len(spec.shape), 3} if spec.fitted else {len(spec.shape)}
    sizes = () if spec.fitted else zip(spec.shape, array.shape)
    return (
        array.ndim in axes
        and array.dtype.kind == np.dtype(spec.dtype).kind
        and all(wanted in (None, size) for wanted, size in sizes)
    )
