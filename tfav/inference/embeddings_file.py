"""What tfav-embed wrote, read and checked, and which embeddings can be compared."""

import os
import re

import numpy as np

from tfav import files, registry
from tfav.inference.model import Embeddings
from tfav.inference.spaces import require_same

SPACE, SHARES = "embedding_space", "shares_space"
REPORT = "embedded.json"  # in a folder of shards, once all are there
_END = "_id"


def is_one(path: str) -> bool:
    """Says whether a path is of embeddings, and not of files to be embedded."""
    if os.path.isdir(path):
        return os.path.exists(os.path.join(path, REPORT))
    return path.endswith(".npz")


def read(path: str, space: str = "", other: str = "") -> Embeddings:
    """Returns the embeddings in a `.npz` of tfav-embed, or in all shards of a folder.

    Args:
      path: the file or folder.
      space: id of the space that they must be of; empty: of any.
      other: what is of that space, for messages.

    Raises:
      UserError: no such file, not one of tfav-embed, damaged, or of another space.
    """
    if os.path.isdir(path):
        return _read_shards(path, space, other)
    found = _read(path, space, other)
    if not any(map(len, found.vectors.values())):
        raise registry.UserError(f"{path} holds no vectors: embed at least one file into it.")
    return found


def _read_shards(folder: str, space: str, other: str) -> Embeddings:
    """Returns what the shards of `tfav-embed --runner` hold, in their order."""
    names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"[^.].*\.npz", name))
    if not names:
        raise registry.UserError(
            f"{folder} holds no shards of embeddings: name a folder that tfav-embed --runner wrote."
        )
    ids: dict[str, list[str]] = {}
    parts: dict[str, list[np.ndarray]] = {}
    shares = True
    for path in (os.path.join(folder, name) for name in names):
        found = _read(path, space, other)
        space, other = found.embedding_space, other or os.path.join(folder, names[0])
        shares &= found.shares_space
        for modality, vectors in found.vectors.items():
            if len(vectors):
                ids.setdefault(modality, []).extend(found.ids[modality])
                parts.setdefault(modality, []).append(vectors)
    if not parts:
        raise registry.UserError(f"{folder} holds no vectors: embed at least one file into it.")
    return Embeddings(ids, {m: np.concatenate(x) for m, x in parts.items()}, space, {}, shares)


def _read(path: str, space: str, other: str) -> Embeddings:
    """Returns the embeddings in one file, which may be none."""
    if not os.path.isfile(path):
        raise registry.UserError(f"{path} does not exist: name a .npz that tfav-embed wrote.")
    try:
        arrays = files.read_npz(path)
    except (OSError, ValueError) as error:
        raise registry.UserError(
            f"{path} is not a whole .npz ({error}): write it again with tfav-embed."
        ) from error
    if SPACE not in arrays or arrays[SPACE].shape or arrays[SPACE].dtype.kind != "U":
        raise registry.UserError(
            f"{path} does not say of which embedding space its vectors are: write it with "
            "tfav-embed."
        )
    found = str(arrays.pop(SPACE))
    require_same(path, found, other, space or found)
    told = arrays.pop(SHARES, np.array(True))  # files of before they said so may do either
    if told.shape or told.dtype.kind != "b":
        raise registry.UserError(
            f"{path} does not say whether its modalities share a space: write it again with "
            "tfav-embed."
        )
    shares = bool(told)
    ids: dict[str, list[str]] = {}
    vectors: dict[str, np.ndarray] = {}
    for modality in (name[: -len(_END)] for name in arrays if name.endswith(_END)):
        names, matrix = arrays[modality + _END], arrays.get(modality)
        if matrix is None or matrix.ndim != 2 or names.shape != matrix.shape[:1]:
            raise registry.UserError(
                f"{path} holds {modality} ids without a vector for each: write it again with "
                "tfav-embed."
            )
        if matrix.dtype.kind != "f" or not np.isfinite(matrix).all():
            raise registry.UserError(
                f"{path} holds {modality} vectors that are no finite numbers: write it again with "
                "tfav-embed."
            )
        ids[modality] = names.astype(str).tolist()
        vectors[modality] = matrix.astype(np.float32, copy=False)
    return Embeddings(ids, vectors, found, {}, shares)
