"""What tfav-embed wrote, read and checked, and which embeddings can be compared."""

import os
import zipfile

import numpy as np

from tfav import registry
from tfav.inference.model import Embeddings
from tfav.inference.spaces import require_same

SPACE, SHARES = "embedding_space", "shares_space"
_END = "_id"


def read(path: str, space: str = "", other: str = "") -> Embeddings:
    """Returns the embeddings in a `.npz` of tfav-embed.

    Args:
      path: the file.
      space: id of the space that they must be of; empty: of any.
      other: what is of that space, for messages.

    Raises:
      UserError: no such file, not one of tfav-embed, damaged, or of another space.
    """
    if not os.path.isfile(path):
        raise registry.UserError(f"{path} does not exist: name a .npz that tfav-embed wrote.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise registry.UserError(
            f"{path} is not a whole .npz ({type(error).__name__}): write it again with tfav-embed."
        ) from error
    if SPACE not in arrays or arrays[SPACE].shape or arrays[SPACE].dtype.kind != "U":
        raise registry.UserError(
            f"{path} does not say of which embedding space its vectors are: write it with "
            "tfav-embed."
        )
    found = str(arrays.pop(SPACE))
    require_same(path, found, other, space or found)
    shares = bool(arrays.pop(SHARES, True))  # files of before they said so may do either
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
    if not any(map(len, vectors.values())):
        raise registry.UserError(f"{path} holds no vectors: embed at least one file into it.")
    return Embeddings(ids, vectors, found, {}, shares)
