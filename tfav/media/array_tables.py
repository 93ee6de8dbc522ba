"""Tables of vectors or sequences, one file for many rows, each by its id.

`FILE#ID` names a row of a table wherever a file of an array may be named, and `FILE@MODALITY#ID`
one of a file that holds several modalities.

What a table may be, by its suffix, is `READERS`:

`.npz`: `id` [N] text and `vector` [N, D], or [N, T, D] with `steps` [N]; further arrays [N] are
columns. What `tfav-embed` writes, `MODALITY_id` and `MODALITY`, is such a table of each modality.
`.tfrecord`: records with `id`, the numbers `vector`, and columns of text.
`.csv`: as FOP and FAME hand features out, without header: the numbers, then the label. The id of
a row is `STEM/NUMBER`, counted from 0.

Nothing is unpickled: whoever made a pickle decides what runs where it is opened.
"""

import functools
import os
import re
from typing import NamedTuple

from tfav.media import bad_file
from tfav.media.table_readers import CONVERT, READERS, Table, arrays_of, modalities_in

_PICKLED = (".pkl", ".pickle", ".pt", ".pth")


class Place(NamedTuple):
    """Where an array stands: a file, and of a table a modality and the id of a row; or empty."""

    file: str
    modality: str = ""
    id: str = ""


def split(path: str | os.PathLike) -> Place:
    """Returns the parts of a path `FILE[@MODALITY][#ID]`; any other path is a file."""
    found = _PLACE.fullmatch(os.fspath(path))
    return Place(*(part or "" for part in found.groups())) if found else Place(os.fspath(path))


def name_row(path: str | os.PathLike, modality: str, name: str) -> str:
    """Returns what names a row of a table."""
    return f"{os.fspath(path)}@{modality}#{name}"


def read(path: str | os.PathLike, modality: str = "") -> Table:
    """Returns the table in a file; one that was read last is not read again.

    Args:
      path: of the file.
      modality: which, of a file that holds several.

    Raises:
      BadFile: it is none, or it names no such modality; says what to do.
    """
    bad_file.check_file(path)
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _PICKLED:
        raise bad_file.BadFile(f"is a pickle, which is never opened here: {CONVERT}")
    if suffix not in READERS:
        raise bad_file.BadFile(f"is no table of vectors: give one of {', '.join(READERS)}")
    stat = os.stat(path)
    return _read(path, modality, stat.st_mtime_ns, stat.st_size)


def modalities(path: str | os.PathLike) -> list[str]:
    """Returns the modalities of what `tfav-embed` has written; none of another table.

    Raises:
      BadFile: an `.npz` that cannot be read.
    """
    return modalities_in(arrays_of(path)) if os.path.splitext(path)[1].lower() == ".npz" else []


@functools.lru_cache(maxsize=8)
def _read(path: str, modality: str, *state: int) -> Table:
    del state  # of another time or size it is another file
    table = READERS[os.path.splitext(path)[1].lower()](path, modality)
    values, count = table.values, len(table.place)
    if values.dtype.kind not in "biuf" or values.ndim not in (2, 3) or not values.size:
        raise bad_file.BadFile(
            f"holds vectors of {values.dtype} {list(values.shape)}: give real numbers [N, D], or "
            "sequences [N, T, D]"
        )
    columns = {f"cells of the column {n!r}": len(x) for n, x in table.columns.items()}
    for name, length in {"vectors": len(values), **columns}.items():
        if length != count:
            raise bad_file.BadFile(
                f"holds {count} different ids and {length} {name}: give one of each per id"
            )
    if table.steps is not None and (
        values.ndim != 3
        or table.steps.shape != (count,)
        or table.steps.dtype.kind not in "iu"
        or not ((table.steps >= 1) & (table.steps <= values.shape[1])).all()
    ):
        raise bad_file.BadFile(
            "holds steps that are no count from 1 to T of each of its sequences [N, T, D]"
        )
    return table


_PLACE = re.compile(r"(.+?\.(?:npz|tfrecord|csv))(?:@([a-z][a-z0-9_]*))?(?:#(.*))?", re.DOTALL)
