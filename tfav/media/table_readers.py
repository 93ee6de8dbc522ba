"""What a file of a table is read as, by its suffix; see `array_tables`."""

import csv
import dataclasses
import os
import zipfile
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from absl import logging

from tfav.media import bad_file

_PLAIN = {"id", "vector"}  # the arrays of a table of one modality
_ID = "_id"  # what follows a modality's name in the name of its ids
_WORDS = ("label", "split")  # columns that decide what a row is
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


def arrays_of(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns what an `.npz` holds. Raises BadFile where it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        hint = f": {CONVERT}" if "pickle" in str(error) else ""
        raise bad_file.BadFile(
            f"is no whole .npz of numbers and text ({bad_file.first_line(error)}){hint}"
        ) from error


def modalities_in(arrays: Collection[str]) -> list[str]:
    """Returns the modalities of what `tfav-embed` has written, by the names of its arrays."""
    return [] if set(arrays) >= _PLAIN else [name for name in arrays if name + _ID in arrays]


def _npz(path: str, modality: str) -> Table:
    arrays = arrays_of(path)
    named = arrays.get("embedding_space", np.array(""))
    if named.ndim or named.dtype.kind != "U":
        raise bad_file.BadFile(f"has an embedding_space of {named.dtype}: give one text, or none")
    own = ""
    if arrays.keys() >= _PLAIN:
        ids, values = arrays.pop("id"), arrays.pop("vector")
    else:
        embedded = modalities_in(arrays)
        own = modality if modality in embedded else embedded[0] if len(embedded) == 1 else ""
        if not own:
            names = ", ".join(f"FILE@{name}" for name in embedded)
            raise bad_file.BadFile(
                f"holds {', '.join(arrays) or 'nothing'}: give the arrays id [N] and vector [N, D]"
                + (f", or name one of {names}" if names else "")
            )
        ids, values, arrays = arrays[own + _ID], arrays[own], {}
    steps = arrays.pop("steps", None)
    arrays.pop("embedding_space", None)
    for name in [name for name, x in arrays.items() if x.ndim != 1]:
        shape = list(arrays.pop(name).shape)
        if name in _WORDS:
            raise bad_file.BadFile(f"holds a {name} of the shape {shape}: give one per id, [N]")
        logging.warning("left out: the array %r of %s, of the shape %s", name, path, shape)
    columns = {name: _texts(name, x) for name, x in arrays.items()}
    places = _places(_texts(own + _ID if own else "id", ids))
    return Table(places, values, steps, columns, str(named), own)


def _tfrecord(path: str, modality: str) -> Table:
    import tensorflow as tf
    from google.protobuf import message

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
            found = {n: value[0].decode() for n, value in text.items() if value}
            whole = {n: f.int64_list.value for n, f in features.items()}
            columns.append(found | {n: str(x[0]) for n, x in whole.items() if len(x) == 1})
    except (tf.errors.DataLossError, UnicodeDecodeError, message.DecodeError) as error:
        raise bad_file.BadFile("is no whole file of TFRecords with text in UTF-8") from error
    if len({len(row) for row in rows}) != 1:
        raise bad_file.BadFile("holds vectors of several sizes, or none: give all of them one size")
    names = [name for name in columns[0] if all(name in its for its in columns)]
    cells = {name: [its[name] for its in columns] for name in names}
    return Table(_places(ids), np.stack(rows), None, cells)


def _csv(path: str, modality: str) -> Table:
    del modality
    stem = os.path.splitext(os.path.basename(path))[0]
    rows: list[np.ndarray] = []
    labels: list[str] = []
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
            for cells in filter(None, csv.reader(file)):
                rows.append(np.array(cells[:-1], np.float32))
                labels.append(_label(cells[-1]))
    except (ValueError, csv.Error) as error:
        raise bad_file.BadFile(
            f"has a cell in row {len(rows)} that is no number ({bad_file.first_line(error)}): "
            "give the numbers of a vector per row, then its label, and no header"
        ) from error
    if len({len(row) for row in rows}) != 1:
        raise bad_file.BadFile("has rows of several lengths, or none: give all of them one length")
    ids = {f"{stem}/{number}": number for number in range(len(rows))}
    return Table(ids, np.stack(rows), None, {"label": labels})


def _label(cell: str) -> str:
    """Returns a label without what made a whole number of it a fraction: `7.0` is `7`."""
    cell = cell.strip()
    whole, dot, rest = cell.partition(".")
    return whole if dot and not rest.strip("0") and whole.lstrip("-").isdigit() else cell


def _texts(name: str, values: np.ndarray) -> list[str]:
    """Returns the cells of a column, or ids."""
    if values.ndim != 1:
        raise bad_file.BadFile(
            f"holds an array {name} of the shape {list(values.shape)}: give one per vector, [N]"
        )
    try:
        if values.dtype.kind == "S":
            return [cell.decode() for cell in values.tolist()]
    except UnicodeDecodeError as error:
        raise bad_file.BadFile(f"holds an array {name} that is no text in UTF-8") from error
    return values.astype(str).tolist()


def _places(ids: Sequence[str]) -> dict[str, int]:
    found = {name: place for place, name in enumerate(ids)}
    if len(found) < len(ids):
        twice = next(name for place, name in enumerate(ids) if found[name] != place)
        raise bad_file.BadFile(f"holds the id {twice!r} twice: give each row an id of its own")
    return found


READERS = {".npz": _npz, ".tfrecord": _tfrecord, ".csv": _csv}
