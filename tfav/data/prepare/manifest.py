"""The rows of a data set, as a source lists them, and what a source may be told."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfav import registry
from tfav.media import array_tables, limits

MODALITIES = ("audio", "image")
FILES = (*MODALITIES, "video")
REQUIRED = ("id", "split", "label")
_SPLIT = re.compile(r"[A-Za-z0-9_-]+")
# What people write for a split that training and evaluation look for by another word.
_MEANT = {
    **{"training": "train", "validation": "val", "valid": "val", "testing": "test"},
    **{word: word for word in ("train", "val", "test")},
}


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
        others = (array_tables.split(path).file for path in self.others.values())
        return [*single, *self.image_paths, *others]


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


def check_words(row: Row, where: str) -> None:
    """Raises UserError unless `row`'s id and split can stand in query lists and file names."""
    if not row.id:
        raise registry.UserError(f"{where}: a row's id is empty: give each row an id of its own.")
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
