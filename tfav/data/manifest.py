"""A data set is a table of rows: a CSV file, or what a source lists."""

import collections
import csv
import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from tfav import registry
from tfav.data import shards

MODALITIES = ("audio", "image")
REQUIRED = ("id", "split", "label")
_SPLIT = re.compile(r"[A-Za-z0-9_-]+")


@dataclasses.dataclass(frozen=True)
class Row:
    """One item of a data set, not yet decoded.

    Attributes:
      id: unique, without white space (query lists are separated by it).
      split: `train`, `val`, `test` or any other word.
      label: name of the identity or class.
      audio: path of a sound file, or None.
      image: path of an image file, or None.
      extra: further columns, name to text.
      channel: of the sound file, `mean` or `left` (see `decode.read_audio`).
    """

    id: str
    split: str
    label: str
    audio: str | None = None
    image: str | None = None
    extra: Mapping[str, str] = dataclasses.field(default_factory=dict)
    channel: str = "mean"


@dataclasses.dataclass(frozen=True)
class Options:
    """What a source may be told; each reads the fields it needs.

    Attributes:
      manifest: path of a CSV file (source `manifest`).
      columns: names of the further columns to carry; None carries all.
      split_csv: paths of VoxCeleb1-like split files (source `voxceleb1`).
      audio_root: folder of the voices; image_root: folder of the faces.
      corpus: folder where the source `synthetic` writes its files.
      identities: how many people it draws, from `seed`.
      overwrite: whether it may replace an existing corpus.
    """

    manifest: str | None = None
    columns: Sequence[str] | None = None
    split_csv: Sequence[str] = ()
    audio_root: str | None = None
    image_root: str | None = None
    corpus: str | None = None
    identities: int = 200
    seed: int = 0
    overwrite: bool = False


def read_csv(path: str | os.PathLike, required: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """Reads a CSV file with a header (UTF-8, a byte-order mark is accepted).

    Args:
      path: of the file.
      required: columns it must have.

    Returns:
      line number and cells by column name, for every line that is not blank.

    Raises:
      UserError: missing, empty, not UTF-8, a missing or repeated column, or a line whose number of
        cells differs from the header's.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except FileNotFoundError as error:
        raise registry.UserError(f"{path} does not exist: mend the path.") from error
    except UnicodeDecodeError as error:
        raise registry.UserError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as CSV in UTF-8."
        ) from error
    except (OSError, csv.Error) as error:
        raise registry.UserError(
            f"{path} cannot be read as CSV ({error}): mend the file."
        ) from error
    if len(lines) < 2:
        what = "has a header but no rows" if lines else "is empty"
        raise registry.UserError(f"{path} {what}: give a CSV file with a header and rows.")
    header = [name.strip() for name in lines[0][1]]
    missing = [name for name in required if name not in header]
    if missing:
        raise registry.UserError(
            f"{path} has no column {missing[0]!r}: its header must name "
            f"{', '.join(required)} and it is {','.join(header)!r}."
        )
    twice = [name for name, count in collections.Counter(header).items() if count > 1]
    if twice:
        raise registry.UserError(f"{path} has the column {twice[0]!r} twice: rename one of them.")
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise registry.UserError(
                f"{path} line {number} has {len(cells)} cells and the header has {len(header)}: "
                "put cells that hold a comma in double quotes."
            )
    return [(number, dict(zip(header, map(str.strip, cells)))) for number, cells in lines[1:]]


def read(path: str | os.PathLike, columns: Sequence[str] | None = None) -> list[Row]:
    """Reads a manifest: CSV with the columns `id, split, label`, `audio` or `image` or both.

    Args:
      path: of the CSV file; relative paths in it start from its folder.
      columns: names of the further columns to carry; None carries all.

    Raises:
      UserError: as `read_csv`; an unknown or reserved column; an empty cell, a duplicate id, an
        id with white space, a split that is not a word, a row with neither sound nor image.
    """
    path = os.fspath(path)
    lines = read_csv(path, REQUIRED)
    header = list(lines[0][1])
    if not set(MODALITIES) & set(header):
        raise registry.UserError(
            f"{path} has neither a column 'audio' nor a column 'image': add one with the paths of "
            "the files."
        )
    further = [name for name in header if name not in (*REQUIRED, *MODALITIES)]
    reserved = [name for name in further if name in shards.COLUMNS]
    if reserved:
        raise registry.UserError(
            f"{path} has a column {reserved[0]!r}, a name that the index uses itself: rename it."
        )
    unknown = [name for name in columns or () if name not in further]
    if unknown:
        raise registry.UserError(
            f"unknown column {unknown[0]!r} in --columns: beside {', '.join(REQUIRED)}, audio and "
            f"image {path} has {', '.join(further) or 'none'}."
        )
    carried = further if columns is None else list(columns)
    folder = os.path.dirname(os.path.abspath(path))
    rows, seen = [], {}
    for number, cells in lines:
        where = f"{path} line {number}"
        for name in REQUIRED:
            if not cells[name]:
                raise registry.UserError(f"{where} has an empty {name!r}: fill it in.")
        if not any(cells.get(name) for name in MODALITIES):
            raise registry.UserError(
                f"{where} (id {cells['id']!r}) has neither audio nor image: give one of them or "
                "drop the row."
            )
        if cells["id"] in seen:
            raise registry.UserError(
                f"{where} repeats the id {cells['id']!r} of line {seen[cells['id']]}: "
                "every row needs an id of its own."
            )
        seen[cells["id"]] = number
        paths = {
            name: os.path.join(folder, cells[name]) if cells.get(name) else None
            for name in MODALITIES
        }
        extra = {name: cells[name] for name in carried}
        row = Row(cells["id"], cells["split"], cells["label"], extra=extra, **paths)
        check_words(row, where)
        rows.append(row)
    return rows


def check_words(row: Row, where: str) -> None:
    """Raises UserError unless `row`'s id and split can stand in query lists and file names."""
    if row.id.split() != [row.id]:
        raise registry.UserError(
            f"{where}: the id {row.id!r} contains white space, which separates the items of query "
            "lists: rename it (for instance with '_')."
        )
    if not _SPLIT.fullmatch(row.split):
        raise registry.UserError(
            f"{where}: the split {row.split!r} becomes part of file names: use letters, digits, "
            "'-' and '_' only."
        )
