"""Files written whole or not at all, and their hashes: the one way in the library."""

import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfav import registry


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[str]:
    """Yields the name of a temporary file that becomes `path` once it is written, or goes.

    Raises:
      OSError: it cannot be written; names `path`, as a full disk names no file. What was at `path`
        is unchanged.
    """
    temporary = f"{os.fspath(path)}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file whole or not at all."""
    with whole(path) as temporary, open(temporary, "wb") as file:
        file.write(content)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes JSON whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_npz(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as one `.npz`, whole or not at all: a full disk leaves what was there.

    `np.savez` would leave its archive open on a full disk, and a traceback at the process's end.
    """
    with whole(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the arrays of an `.npz` by name, and unpickles nothing.

    Raises:
      FileNotFoundError: no such file.
      ValueError: it is not whole. NumPy and zipfile raise what they like of a damaged archive, and
        NumPy returns the bytes of an entry that does not begin like an array.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    odd = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if odd:
        raise ValueError(f"{odd[0]} is no array")
    return arrays


def write_pictures(
    pictures: Mapping[str, bytes], directory: str | os.PathLike
) -> list[pathlib.Path]:
    """Writes `NAME.png` of each picture into `directory`, made when absent; returns their paths."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{name}.png" for name in pictures]
    for path, content in zip(paths, pictures.values()):
        write_bytes(path, content)
    return paths


@contextlib.contextmanager
def plain_path(path: str | os.PathLike) -> Iterator[str]:
    """Yields a name of the folder `path` that TensorFlow takes for no pattern.

    Its savers and loaders look for files with patterns, and `[`, `]`, `*`, `?` and a backslash in a
    path mean something there. Where `path` has one, a link to the folder stands in for the block.
    """
    path = os.path.abspath(path)
    if not re.search(r"[][*?\\]", path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tfav-") as folder:
        link = os.path.join(folder, "folder")
        os.symlink(path, link)
        yield link


def sha256(path: str | os.PathLike) -> str:
    """Returns the SHA-256, in hex, of a file; of a `.gz` that of what it holds.

    So a list has the same hash packed or not, whatever the packer.

    Raises:
      UserError: the file cannot be read.
    """
    return hashlib.sha256(content(path)).hexdigest()


def content(path: str | os.PathLike) -> bytes:
    """Returns the bytes of a file, unpacked if its name ends in `.gz`.

    Raises:
      UserError: the file cannot be read.
    """
    try:
        packed = pathlib.Path(path).read_bytes()
        return gzip.decompress(packed) if os.fspath(path).endswith(".gz") else packed
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise registry.UserError(
            f"{path} cannot be read ({reason}): correct the path or copy the file again."
        ) from error
