"""A data set is a table of rows: a CSV file, or what a source lists."""

import dataclasses
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from tfav import registry
from tfav.data import kinds as kinds_lib
from tfav.data import shards
from tfav.data.prepare import csv_files
from tfav.media import limits

MODALITIES = ("audio", "image")
FILES = (*MODALITIES, "video")
REQUIRED = ("id", "split", "label")
_SPLIT = re.compile(r"[A-Za-z0-9_-]+")
# What people write for a split that training and evaluation look for by another word.
_MEANT = {
    **{"training": "train", "validation": "val", "valid": "val", "testing": "test"},
    **{word: word for word in ("train", "val", "test")},
}
_MODALITY = re.compile(r"[a-z][a-z0-9_]*")
# What batches, records and reports call something else.
_TAKEN = (
    *REQUIRED,
    *FILES,
    *shards.COLUMNS,
    shards.FRAMES,
    "labels",
    "rows",
    "identities",
    "hours",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One item of a data set, not yet decoded.

    Attributes:
      id: unique, without white space (query lists are separated by it).
      split: `train`, `val`, `test` or any other word.
      label: name of the identity or class.
      audio: path of a sound file, or None.
      image: path of an image file or of a folder of them, or several (frames in order), or None.
      extra: further columns, name to text.
      channel: of the sound, `mean` or `left` (see `audio_files.read_audio`).
      video: path of a video, or None; it gives the sound and the pictures that are not given.
      further: further modalities: name to paths. Of images, such as optical flow, as `image`; of
        another kind one file.
      kinds: kind of those of `further` that are no images, as `data.kinds.find` takes it.
      start_seconds: where the part of `audio` or `video` starts that is meant.
      length_seconds: how long that part lasts; 0: to the end.
      padded: whether zeros follow a sound that ends before `length_seconds`.
      problem: what the source found wrong with its files, as `BadFile.reason`; it is a bad row.
    """

    id: str
    split: str
    label: str
    audio: str | None = None
    image: str | tuple[str, ...] | None = None
    extra: Mapping[str, str] = dataclasses.field(default_factory=dict)
    channel: str = "mean"
    video: str | None = None
    further: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    kinds: Mapping[str, str] = dataclasses.field(default_factory=dict)
    start_seconds: float = 0.0
    length_seconds: float = 0.0
    padded: bool = False
    problem: str = ""

    @property
    def pictures(self) -> dict[str, tuple[str, ...]]:
        """Paths of every image modality that is given, `image` first."""
        image = (self.image,) if isinstance(self.image, str) else self.image or ()
        given = {"image": image, **self.further}
        return {name: paths for name, paths in given.items() if paths and name not in self.kinds}

    @property
    def others(self) -> dict[str, str]:
        """Path of every modality that is given and of another kind than audio and images."""
        return {name: self.further[name][0] for name in self.kinds if self.further.get(name)}

    @property
    def image_paths(self) -> list[str]:
        """Files and folders of all image modalities."""
        return [path for paths in self.pictures.values() for path in paths]

    @property
    def paths(self) -> list[str]:
        """All files and folders of the row."""
        single = (path for path in (self.audio, self.video) if path)
        return [*single, *self.image_paths, *self.others.values()]


@dataclasses.dataclass(frozen=True)
class Options:
    """What a source may be told; the table of sources says which of the fields each one reads.

    Attributes:
      manifest: path of a CSV file.
      columns: names of the further columns to carry; None carries all.
      modalities: columns that hold further modalities, each `NAME` of images or `NAME=KIND`.
      split_csv: paths of the lists of an official layout.
      root: folder that a layout was unpacked to, or that holds the videos.
      split_number: which of the official splits is taken, or which fold is tested, from 1.
      subset: which part of the classes is taken; empty: all.
      speaker_disjoint: whether no speaker may be in two splits.
      val_fraction: share of the training part that becomes `val`, drawn from `seed`.
      test_fraction: share of the videos that becomes `test` where no list tells.
      segment_seconds: length of the pieces that videos are cut into.
      audio_root: folder of the voices.
      image_root: folder of the faces.
      corpus: folder where a synthetic source writes its files.
      identities: how many people (or scenes to test on) it draws, from `seed`.
      seed: of everything that is drawn.
      overwrite: whether it may replace an existing corpus.
      bounds: what a source that looks into files refuses as too long.
      own: options that the source alone has, name to value, see `sources.Source.own`.
    """

    manifest: str | None = None
    columns: Sequence[str] | None = None
    modalities: Sequence[str] = ()
    split_csv: Sequence[str] = ()
    root: str | None = None
    split_number: int = 1
    subset: str = ""
    speaker_disjoint: bool = False
    val_fraction: float = 0.0
    test_fraction: float = 0.0
    segment_seconds: float = 5.0
    audio_root: str | None = None
    image_root: str | None = None
    corpus: str | None = None
    identities: int = 200
    seed: int = 0
    overwrite: bool = False
    bounds: limits.Limits = limits.DEFAULT
    own: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def read(
    path: str | os.PathLike, columns: Sequence[str] | None = None, modalities: Sequence[str] = ()
) -> list[Row]:
    """Reads a manifest: CSV with the columns `id, split, label` and one or more that name files.

    Args:
      path: of the CSV file; relative paths in it start from its folder.
      columns: names of the further columns to carry; None carries all.
      modalities: columns of further modalities beside `audio`, `image` and `video`: `NAME` of
        images, or `NAME=KIND` with a row of `data.kinds.KINDS` or a dotted path.

    Raises:
      UserError: as `csv_files.read`; an unknown or reserved column; an unknown kind; an empty
        cell, a duplicate id, an id with white space, a split that is not a word, a row without any
        file.
    """
    path = os.fspath(path)
    lines = csv_files.read(path, REQUIRED)
    header = list(lines[0][1])
    _check_modalities(path, header, modalities)
    kind_of = _kinds(modalities)
    files = [name for name in (*FILES, *kind_of) if name in header]
    if not files:
        raise registry.UserError(
            f"{path} has neither a column 'audio' nor a column 'image' nor a column 'video': add "
            "one with the paths of the files."
        )
    further = [name for name in header if name not in (*REQUIRED, *files)]
    reserved = [x for x in further if x in shards.COLUMNS or x.startswith(shards.FRAMES)]
    if reserved:
        raise registry.UserError(
            f"{path} has a column {reserved[0]!r}, a name that the index uses itself: rename it."
        )
    unknown = [name for name in columns or () if name not in further]
    if unknown:
        raise registry.UserError(
            f"unknown column {unknown[0]!r} in --columns: beside {', '.join((*REQUIRED, *files))} "
            f"{path} has {', '.join(further) or 'none'}."
        )
    carried = further if columns is None else list(columns)
    folder = os.path.dirname(os.path.abspath(path))
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for number, cells in lines:
        where = f"{path} line {number}"
        for name in REQUIRED:
            if not cells[name]:
                raise registry.UserError(f"{where} has an empty {name!r}: fill it in.")
        if not any(cells[name] for name in files):
            raise registry.UserError(
                f"{where} (id {cells['id']!r}) names no file: fill in {' or '.join(files)} or drop "
                "the row."
            )
        if cells["id"] in seen:
            raise registry.UserError(
                f"{where} repeats the id {cells['id']!r} of line {seen[cells['id']]}: "
                "every row needs an id of its own."
            )
        seen[cells["id"]] = number
        paths: dict[str, Any] = {
            name: _existing(folder, cells[name]) for name in files if cells[name]
        }
        row = Row(
            id=cells["id"],
            split=cells["split"],
            label=cells["label"],
            extra={name: cells[name] for name in carried},
            further={name: (paths.pop(name),) for name in kind_of if name in paths},
            kinds={name: kind for name, kind in kind_of.items() if kind and cells[name]},
            **paths,
        )
        check_words(row, where)
        rows.append(row)
    return rows


def _existing(folder: str, cell: str) -> str:
    """Returns the path that a cell names; where it is not there, that of another spelling.

    An accented letter is one character (NFC) or a letter and its accent (NFD): a spreadsheet writes
    the one, and some file systems keep the other.
    """
    path = os.path.join(folder, cell)
    if cell.isascii() or os.path.exists(path):
        return path
    others = (os.path.join(folder, unicodedata.normalize(form, cell)) for form in ("NFC", "NFD"))
    return next(filter(os.path.exists, others), path)


def _check_modalities(path: str, header: Sequence[str], modalities: Sequence[str]) -> None:
    """Raises UserError unless every one of --modalities is a column that may hold one."""
    for name in _kinds(modalities):
        if name in _TAKEN or not _MODALITY.fullmatch(name):
            raise registry.UserError(
                f"--modalities={','.join(modalities)}: {name!r} cannot be the name of a further "
                "modality; use small letters, digits and '_', and none of "
                f"{', '.join(dict.fromkeys(_TAKEN))}."
            )
        if name not in header:
            raise registry.UserError(
                f"--modalities={','.join(modalities)}: {path} has no column {name!r}; its header "
                f"is {','.join(header)!r}."
            )


def _kinds(modalities: Sequence[str]) -> dict[str, str]:
    """Returns name to kind of what --modalities names; empty: images.

    Raises:
      UserError: an unknown kind, or one that a further modality cannot have.
    """
    found = {}
    for text in modalities:
        name, _, kind = text.partition("=")
        if kind and kinds_lib.find(kind) is kinds_lib.AUDIO:
            raise registry.UserError(
                f"--modalities={text}: the column `audio` alone holds audio; choose another kind."
            )
        found[name] = "" if kind == kinds_lib.IMAGE.name else kind
    return found


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
    meant = _MEANT.get(row.split.casefold(), row.split)
    if meant != row.split:
        raise registry.UserError(
            f"{where}: the split {row.split!r} is one that nothing looks for: write {meant!r}."
        )
