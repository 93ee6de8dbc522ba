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

import csv
import dataclasses
import functools
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfav.media import bad_file

_ID = "_id"  # what follows a modality's name in the name of its ids
_PICKLED = (".pkl", ".pickle", ".pt", ".pth")
# How a dictionary of vectors becomes a table, where its maker is trusted.
CONVERT = (
    "where you trust its maker, convert it: d = numpy.load(FILE, allow_pickle=True).item() or "
    "pickle.load(open(FILE, 'rb')), then numpy.savez('table.npz', id=list(d), "
    "vector=numpy.stack(list(d.values())))"
)


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of numbers by id.

    Attributes:
      place: id to its place.
      values: Numbers [N, D], or [N, T, D].
      steps: Number of steps that count of each sequence, [N]; None: all.
      columns: name of a column to the text of each row.
      space: id of the embedding space that tfav-embed names; empty: the table names none.
      modality: of what tfav-embed has written, its name there; empty: another table.
    """

    place: Mapping[str, int]
    values: np.ndarray
    steps: np.ndarray | None
    columns: Mapping[str, Sequence[str]]
    space: str = ""
    modality: str = ""

    def row(self, name: str) -> np.ndarray:
        """Returns the numbers of a row, [D] or [T, D].

        Raises:
          BadFile: no row has that id.
        """
        if name not in self.place:
            raise bad_file.BadFile(
                f"has no row {name!r} among its {len(self.place)}, of which the first is "
                f"{next(iter(self.place))!r}"
            )
        found = self.values[self.place[name]]
        return found if self.steps is None else found[: int(self.steps[self.place[name]])]


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
    arrays = _arrays(path) if os.path.splitext(path)[1].lower() == ".npz" else {}
    return [name[: -len(_ID)] for name in arrays if name.endswith(_ID)]


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


def _arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        hint = f": {CONVERT}" if "pickle" in str(error) else ""
        raise bad_file.BadFile(
            f"is no whole .npz of numbers and text ({bad_file.first_line(error)}){hint}"
        ) from error


def _npz(path: str, modality: str) -> Table:
    arrays = _arrays(path)
    named = arrays.get("embedding_space", np.array(""))
    if named.ndim or named.dtype.kind != "U":
        raise bad_file.BadFile(f"has an embedding_space of {named.dtype}: give one text, or none")
    own = ""
    if "id" in arrays and "vector" in arrays:
        ids, values = arrays.pop("id"), arrays.pop("vector")
    else:
        embedded = [name for name in arrays if name + _ID in arrays]
        own = modality if modality in embedded else embedded[0] if len(embedded) == 1 else ""
        if not own:
            names = ", ".join(f"FILE@{name}" for name in embedded)
            raise bad_file.BadFile(
                f"holds {', '.join(arrays) or 'nothing'}: give the arrays id [N] and vector [N, D]"
                + (f", or name one of {names}" if names else "")
            )
        ids, values, arrays = arrays[own + _ID], arrays[own], {}
    steps = arrays.pop("steps", None)
    columns = {name: x.astype(str).tolist() for name, x in arrays.items() if x.ndim == 1}
    return Table(_places(ids.astype(str).tolist()), values, steps, columns, str(named), own)


def _tfrecord(path: str, modality: str) -> Table:
    import tensorflow as tf

    del modality
    ids: list[str] = []
    rows: list[np.ndarray] = []
    columns: list[dict[str, str]] = []
    try:
        for payload in tf.data.TFRecordDataset(path).as_numpy_iterator():
            features = tf.train.Example.FromString(payload).features.feature
            if not features["id"].bytes_list.value or not features["vector"].float_list.value:
                raise bad_file.BadFile(
                    f"holds a record, number {len(ids)}, without the text id or the numbers vector"
                )
            ids.append(features["id"].bytes_list.value[0].decode())
            rows.append(np.array(features["vector"].float_list.value, np.float32))
            text = {n: f.bytes_list.value for n, f in features.items() if n != "id"}
            columns.append({n: value[0].decode() for n, value in text.items() if value})
    except (tf.errors.DataLossError, UnicodeDecodeError) as error:
        raise bad_file.BadFile("is no whole file of TFRecords with text in UTF-8") from error
    if len({len(row) for row in rows}) != 1:
        raise bad_file.BadFile("holds vectors of several sizes, or none: give all of them one size")
    names = [name for name in columns[0] if all(name in its for its in columns)]
    text = {name: [its[name] for its in columns] for name in names}
    return Table(_places(ids), np.stack(rows), None, text)


def _csv(path: str, modality: str) -> Table:
    del modality
    stem = os.path.splitext(os.path.basename(path))[0]
    rows, labels = [], []
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        for number, cells in enumerate(filter(None, csv.reader(file))):
            try:
                rows.append(np.array(cells[:-1], np.float32))
            except ValueError as error:
                raise bad_file.BadFile(
                    f"has a cell in row {number} that is no number ({bad_file.first_line(error)}): "
                    "give the numbers of a vector per row, then its label, and no header"
                ) from error
            labels.append(_label(cells[-1]))
    if len({len(row) for row in rows}) != 1:
        raise bad_file.BadFile("has rows of several lengths, or none: give all of them one length")
    ids = {f"{stem}/{number}": number for number in range(len(rows))}
    return Table(ids, np.stack(rows), None, {"label": labels})


def _label(cell: str) -> str:
    """Returns a label without what made a whole number of it a fraction: `7.0` is `7`."""
    cell = cell.strip()
    whole, dot, rest = cell.partition(".")
    return whole if dot and not rest.strip("0") and whole.lstrip("-").isdigit() else cell


def _places(ids: Sequence[str]) -> dict[str, int]:
    found = {name: place for place, name in enumerate(ids)}
    if len(found) < len(ids):
        twice = next(name for place, name in enumerate(ids) if found[name] != place)
        raise bad_file.BadFile(f"holds the id {twice!r} twice: give each row an id of its own")
    return found


READERS = {".npz": _npz, ".tfrecord": _tfrecord, ".csv": _csv}
_PLACE = re.compile(r"(.+?\.(?:npz|tfrecord|csv))(?:@([a-z][a-z0-9_]*))?(?:#(.*))?", re.DOTALL)
