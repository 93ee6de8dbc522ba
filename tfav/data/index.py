"""The index of a data set on disk: which records there are and where each of them lies.

Reached as `shards.Index`. Everything that `dataset.json` and `index.csv` say is checked when they
are read, as a wrong label or byte range would train without a word.
"""

import csv
import dataclasses
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfav import registry, states, tensors

FORMAT = 2
NUMBERS = ("offset", "length", "num_samples", "height", "width")
COLUMNS = ("id", "split", "label", "shard", *NUMBERS)
FRAMES = "num_frames"  # the column of `image`; a further modality M has num_frames_M
HEADER_BYTES = 12  # of a TFRecord: payload length (8), its checksum (4); the payload follows
FOOTER_BYTES = 4  # checksum of the payload

_INFO = {
    "format": int,
    "sample_rate_hz": int,
    "source": str,
    "splits": {"*": {"labels": [str], "*": int}},  # rows in all, and of each modality
    "shards": [{"file": str, "bytes": int, "records": int}],
    "columns": [str],
    "modalities": [str],
    "kinds?": {"*": str},  # of those that are no images
    "index_sha256?": str,  # data sets of older versions have none
}


@dataclasses.dataclass(frozen=True)
class Index:
    """What `index.csv` and `dataset.json` say, column by column.

    Attributes:
      directory: of the data set.
      id: [N] str; likewise `split`, `label`, `shard` (file name relative to `directory`).
      offset: [N] int64, byte offset of the payload in its shard; `length` [N] int64, its bytes.
      num_samples: [N] int64, 0 without audio.
      height: [N] int64, 0 without an image; likewise `width`.
      frames: modality (`image` and each further one) to [N] int64, 0 where a row has none; of
        what is no image 1.
      extra: name of a further column to [N] str.
      info: the content of `dataset.json`; its `index_sha256`, that of `index.csv`, says which data
        these are.
    """

    directory: str
    id: np.ndarray
    split: np.ndarray
    label: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    num_samples: np.ndarray
    height: np.ndarray
    width: np.ndarray
    frames: Mapping[str, np.ndarray]
    extra: Mapping[str, np.ndarray]
    info: Mapping

    def __len__(self) -> int:
        return len(self.id)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that any row holds: `audio`, `image`, then further ones."""
        return tuple(name for name in self._counts if self.held(name).any())

    def held(self, modality: str) -> np.ndarray:
        """Returns [N] bool: which rows hold `modality`. One that the data does not know: none."""
        return self._counts.get(modality, np.zeros(len(self), np.int64)) > 0

    def kind(self, modality: str) -> str:
        """Returns the kind of a modality, as `data.kinds.find` takes it."""
        return {"audio": "audio", **self.info.get("kinds", {})}.get(modality, "image")

    @property
    def _counts(self) -> dict[str, np.ndarray]:
        """Modality to [N] int64: what a row holds of it, samples or frames."""
        return {"audio": self.num_samples, **self.frames}

    @property
    def shard_bytes(self) -> dict[str, int]:
        """Size of each shard file in bytes."""
        return {shard["file"]: shard["bytes"] for shard in self.info["shards"]}

    @classmethod
    def read(cls, directory: str | os.PathLike) -> "Index":
        """Reads the index of a prepared data set (any path that `tf.io.gfile` knows).

        Raises:
          UserError: the folder is not a prepared data set, is of another format, one of its files
            is missing, cut short or damaged, or `index.csv` is not the one that was written.
        """
        directory = os.fspath(directory)
        info = _read_info(directory)
        for shard in info["shards"]:
            _check_shard(os.path.join(directory, shard["file"]), shard["bytes"], directory)
        table = _read_table(directory, info)
        fixed = {name: table.pop(name) for name in COLUMNS}
        columns = frame_columns(info["modalities"])
        frames = {name: table.pop(column) for name, column in columns.items()}
        index = cls(directory=directory, frames=frames, extra=table, info=info, **fixed)
        wrong = index._contradiction()
        if wrong:
            path = os.path.join(directory, "index.csv")
            raise registry.UserError(
                f"{path} and dataset.json differ ({wrong}): {_fix(directory)}."
            )
        return index

    def select(self, split: str) -> "Index":
        """Returns the rows of one split, in order. Raises UserError when there is no such split."""
        self._split_info(split)
        return self.take(np.flatnonzero(self.split == split))

    def take(self, rows: np.ndarray) -> "Index":
        """Returns the rows at positions `rows` [n] int."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        extra = {name: values[rows] for name, values in self.extra.items()}
        frames = {name: values[rows] for name, values in self.frames.items()}
        return dataclasses.replace(self, frames=frames, extra=extra, **columns)

    def labels(self, split: str) -> list[str]:
        """Returns a split's labels in order of first appearance: a label's rank is its class."""
        return list(self._split_info(split)["labels"])

    def _split_info(self, split: str) -> Mapping:
        splits = self.info["splits"]
        if split not in splits:
            raise registry.UserError(
                f"{self.directory} has no split {split!r}: it has {', '.join(splits) or 'none'}."
            )
        return splits[split]

    def _contradiction(self) -> str:
        """Returns in what the two files differ; empty where they agree."""
        splits = self.info["splits"]
        unknown = set(self.split) - set(splits)
        if unknown:
            return f"the split {min(map(str, unknown))!r} is in the rows alone"
        for split, its in splits.items():
            mine = self.split == split
            if mine.sum() != its.get("rows"):
                return f"split {split!r} has {mine.sum()} rows instead of {its.get('rows')}"
            first = list(dict.fromkeys(self.label[mine].tolist()))
            if first != its["labels"]:
                odd = set(first) ^ set(its["labels"]) or set(first)
                return f"label {min(odd)!r} of split {split!r}"
        size = self.shard_bytes
        names, place = np.unique(self.shard, return_inverse=True)
        end = np.array([size.get(name, -1) for name in names.tolist()], np.int64)[place]
        outside = self.offset < HEADER_BYTES
        outside |= self.offset + self.length + FOOTER_BYTES > end
        if outside.any():
            row = np.flatnonzero(outside)[0]
            return f"{self.id[row]} lies outside its shard {self.shard[row]!s}"
        return ""


def frame_columns(further: Iterable[str]) -> dict[str, str]:
    """Returns the column of the index of `image` and of each further modality."""
    return {"image": FRAMES} | {name: f"{FRAMES}_{name}" for name in further}


def _fix(directory: str) -> str:
    return (
        "copy the data set again, or make it again with "
        f"tfav-prepare --output={directory} --overwrite"
    )


def _content(path: str) -> bytes:
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def _read_info(directory: str) -> dict:
    path = os.path.join(directory, "dataset.json")
    if not tf.io.gfile.exists(path):
        raise registry.UserError(
            f"{directory} is not a prepared data set (it has no dataset.json): "
            f"make one with tfav-prepare --output={directory}."
        )
    content, fix = _content(path), _fix(directory)
    found = states.parse(content, path, {"format": int, "*": object}, fix)["format"]
    if found != FORMAT:
        raise registry.UserError(
            f"{path} has format {found!r} and this version reads {FORMAT}: run tfav-prepare again."
        )
    info = states.parse(content, path, _INFO, fix)
    if info["sample_rate_hz"] != tensors.SAMPLE_RATE_HZ:
        raise registry.UserError(
            f"{path} speaks of {info['sample_rate_hz']} Hz and this version reads "
            f"{tensors.SAMPLE_RATE_HZ}: {fix}."
        )
    return info


def _read_table(directory: str, info: dict) -> dict[str, np.ndarray]:
    """Returns the columns of `index.csv` by name; notes its hash in `info`."""
    path, fix = os.path.join(directory, "index.csv"), _fix(directory)
    if not tf.io.gfile.exists(path):
        raise registry.UserError(f"{path} does not exist: {fix}.")
    content = _content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if info.setdefault("index_sha256", sha256) != sha256:
        raise registry.UserError(
            f"{path} is not what was written, its SHA-256 is not that in dataset.json: {fix}."
        )
    frames = frame_columns(info["modalities"]).values()
    header = [*COLUMNS, *frames, *info["columns"]]
    try:
        found, *lines = csv.reader(io.StringIO(content.decode(), newline=""))
    except (ValueError, csv.Error) as error:
        raise registry.UserError(f"{path} is not a readable table ({error}): {fix}.") from error
    if found != header:
        raise registry.UserError(
            f"{path} has the columns {','.join(found)[:200]} instead of {','.join(header)}: {fix}."
        )
    odd = [number for number, line in enumerate(lines) if len(line) != len(header)]
    if odd:
        raise registry.UserError(
            f"{path} row {odd[0] + 1} has {len(lines[odd[0]])} fields instead of {len(header)}: "
            f"{fix}."
        )
    columns = list(zip(*lines)) if lines else [()] * len(header)
    numbers = {*NUMBERS, *frames}
    return {
        name: _numbers(name, values, path, fix) if name in numbers else np.array(values, np.str_)
        for name, values in zip(header, columns)
    }


def _numbers(name: str, values: Sequence[str], path: str, fix: str) -> np.ndarray:
    odd = [(number, text) for number, text in enumerate(values) if not _is_count(text)]
    if odd:
        raise registry.UserError(
            f"{path} row {odd[0][0] + 1}: {name} is {odd[0][1]!r}, which is no count: {fix}."
        )
    return np.array(values, dtype=np.int64)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19  # what int64 holds


def _check_shard(path: str, size: int, directory: str) -> None:
    found = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else None
    if found != size:
        what = "is missing" if found is None else f"has {found} bytes instead of {size}"
        raise registry.UserError(f"{path} {what}: {_fix(directory)}.")
