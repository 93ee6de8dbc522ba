"""Runs an encoder over a finite data set once and keeps the embeddings with their ids."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tfav import progress, registry


def collect(
    batches: Iterable[Mapping[str, Any]],
    embed_fn: Callable[[Mapping[str, Any]], Any],
    *,
    total: int | None = None,
    description: str = "embedding",
) -> tuple[list[str], np.ndarray]:
    """Returns the ids and their embeddings, in the order of the batches.

    Args:
      batches: dicts with `id` [b] (bytes or str) and what `embed_fn` reads, such as the elements of
        `data.pipeline.evaluation_batches`.
      embed_fn: a batch -> [b, D] embeddings.
      total: items to come, for the progress bar's remaining time; None when unknown.
      description: the progress bar's word. The bar shows on a terminal only.

    Returns:
      (ids, vectors): N names and [N, D] float32.

    Raises:
      UserError: there is not one item, or an embedding is NaN or infinite (names the id).
      ValueError: `embed_fn` returns another number of rows than ids, or an id comes twice.
    """
    ids: list[str] = []
    parts: list[np.ndarray] = []
    with progress.bar(total=total, desc=description, unit="item") as shown:
        for batch in batches:
            names = [_text(name) for name in np.asarray(batch["id"])]
            vectors = np.asarray(embed_fn(batch)).astype(np.float32)
            if vectors.ndim != 2 or len(vectors) != len(names):
                raise ValueError(f"{len(names)} ids but embeddings of shape {vectors.shape}.")
            finite = np.isfinite(vectors).all(axis=1)
            if not finite.all():
                raise registry.UserError(
                    f"the embedding of {names[int(np.argmin(finite))]} is NaN or infinite: look at "
                    "that file and at the checkpoint."
                )
            ids += names
            parts.append(vectors)
            shown.update(len(names))
    if not ids:
        raise registry.UserError(
            f"{description}: there is nothing to embed; choose a split that has this modality."
        )
    if len(set(ids)) < len(ids):
        raise ValueError(f"{len(ids) - len(set(ids))} ids come twice.")
    return ids, np.concatenate(parts)


def _text(name: bytes | str) -> str:
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)
