"""A data set on disk: TFRecord shards, and an index that gives random access to every record.

`DIR/dataset.json` describes the whole, `DIR/index.csv` has one line a record, and the payload of a
record is a `tf.train.Example` with `id`, and where the row has them `audio` (PCM16 little-endian,
mono, 16 kHz), `image` and further picture modalities such as `flow` (each a list of JPEGs: the
frames in order). The index holds the byte range of each payload, so that a reader fetches any
record with `tf.raw_ops.TFRecordDatasetV2` at its byte offset (see `pipeline`), and no Python.
"""

import collections
import contextlib
import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfav import registry, tensors

FORMAT = 2
_NUMBERS = ("offset", "length", "num_samples", "height", "width")
COLUMNS = ("id", "split", "label", "shard", *_NUMBERS)
FRAMES = "num_frames"  # the column of `image`; a further modality M has num_frames_M
_HEADER_BYTES = 12  # of a TFRecord: payload length (8), its checksum (4); the payload follows
_FOOTER_BYTES = 4  # checksum of the payload


@dataclasses.dataclass(frozen=True)
class Record:
    """One row, decoded.

    Attributes:
      id: unique name of the row.
      split: `train`, `val`, `test`, `heldout`, or any other name.
      label: name of the identity or class.
      audio: [T] int16, mono 16 kHz, or None.
      image: bytes of a JPEG file, or of several frames in order, or None.
      height: of the image in pixels, 0 without one.
      width: of the image in pixels, 0 without one.
      extra: columns that pass through, name to text.
      further: further picture modalities, name to frames (bytes of JPEG files).
    """

    id: str
    split: str
    label: str
    audio: np.ndarray | None = None
    image: bytes | Sequence[bytes] | None = None
    height: int = 0
    width: int = 0
    extra: Mapping[str, str] = dataclasses.field(default_factory=dict)
    further: Mapping[str, Sequence[bytes]] = dataclasses.field(default_factory=dict)

    @property
    def frames(self) -> dict[str, Sequence[bytes]]:
        """JPEG files of every picture modality of the row, `image` first."""
        image = [self.image] if isinstance(self.image, bytes) else self.image or ()
        pictures = {"image": image, **self.further}
        return {name: files for name, files in pictures.items() if len(files)}


def serialize(record: Record) -> bytes:
    """Returns the `tf.train.Example` payload of `record`, the same bytes every time."""
    feature = {"id": [record.id.encode()]}
    if record.audio is not None:
        feature["audio"] = [np.ascontiguousarray(record.audio, dtype="<i2").tobytes()]
    feature |= record.frames
    example = tf.train.Example()
    for name, values in feature.items():
        example.features.feature[name].bytes_list.value.extend(values)
    return example.SerializeToString(deterministic=True)  # a proto map has no order of its own


class Writer(contextlib.AbstractContextManager):
    """Writes records, in the order given, as the shards and index of one data set.

    Records of one split must follow each other. Nothing here is atomic: write to a temporary folder
    and rename it.

    Args:
      directory: an existing empty local folder.
      source: name of the source, for `dataset.json`.
      planned: rows expected of each split (an upper bound), which spreads them evenly over shards.
      shards: number of shards of each split; no split gets more shards than planned rows.
      columns: names of the columns that pass through.
      modalities: names of the picture modalities beside `image`.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        *,
        source: str,
        planned: Mapping[str, int],
        shards: int | Mapping[str, int] = 1,
        columns: Sequence[str] = (),
        modalities: Sequence[str] = (),
    ):
        self._directory = os.fspath(directory)
        self._source = source
        self._planned = {split: max(1, rows) for split, rows in planned.items()}
        wanted = shards if isinstance(shards, Mapping) else dict.fromkeys(planned, shards)
        self._shards = {s: max(1, min(wanted[s], n)) for s, n in self._planned.items()}
        self._columns = list(columns)
        self._further = list(modalities)
        self._splits: dict[str, dict] = {}
        self._labels: dict[str, dict[str, None]] = {}
        self._files: list[dict] = []
        self._open: tf.io.TFRecordWriter | None = None
        path = os.path.join(self._directory, "index.csv")
        self._index = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115 (till close)
        self._lines = csv.writer(self._index, lineterminator="\n")
        self._lines.writerow([*COLUMNS, *_frame_columns(self._further).values(), *self._columns])

    def add(self, record: Record) -> None:
        """Appends one record. Raises ValueError when it has a modality that was not announced."""
        unknown = set(record.further) - set(self._further)
        if unknown:
            raise ValueError(f"{record.id} has {unknown}, and modalities is {self._further}")
        pictures = ["image", *self._further]
        count = self._splits.setdefault(
            record.split, {"labels": [], "audio": 0, **dict.fromkeys(pictures, 0), "rows": 0}
        )
        name = self._shard_name(record.split, count["rows"])
        if not self._files or self._files[-1]["file"] != name:
            self._start(name)
        payload = serialize(record)
        self._open.write(payload)
        shard = self._files[-1]
        num_samples = 0 if record.audio is None else len(record.audio)
        self._lines.writerow(
            [record.id, record.split, record.label, name, shard["bytes"] + _HEADER_BYTES]
            + [len(payload), num_samples, record.height, record.width]
            + [len(record.frames.get(name, ())) for name in pictures]
            + [record.extra.get(column, "") for column in self._columns]
        )
        shard["bytes"] += _HEADER_BYTES + len(payload) + _FOOTER_BYTES
        shard["records"] += 1
        count["rows"] += 1
        count["audio"] += record.audio is not None
        for name in record.frames:
            count[name] += 1
        self._labels.setdefault(record.split, {})[record.label] = None

    def _shard_name(self, split: str, position: int) -> str:
        total = self._shards[split]
        number = min(position * total // self._planned[split], total - 1)
        return f"{split}-{number:05d}-of-{total:05d}.tfrecord"

    def _start(self, name: str) -> None:
        if any(file["file"] == name for file in self._files):
            raise ValueError(f"records of one split must follow each other: {name} was closed")
        self._close_shard()
        self._open = tf.io.TFRecordWriter(os.path.join(self._directory, name))
        self._files.append({"file": name, "bytes": 0, "records": 0})

    def _close_shard(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def close(self) -> None:
        """Writes what is left, and `dataset.json`, kept as the attribute `info`."""
        self._close_shard()
        self._index.close()
        done = {file["file"] for file in self._files}
        for split, total in self._shards.items():  # skipped rows may leave the last shards empty
            for number in range(total):
                name = f"{split}-{number:05d}-of-{total:05d}.tfrecord"
                if split in self._splits and name not in done:
                    tf.io.TFRecordWriter(os.path.join(self._directory, name)).close()
                    self._files.append({"file": name, "bytes": 0, "records": 0})
        for split, count in self._splits.items():
            count["labels"] = list(self._labels[split])
        self.info = {
            "format": FORMAT,
            "sample_rate_hz": tensors.SAMPLE_RATE_HZ,
            "source": self._source,
            "splits": self._splits,
            "shards": self._files,
            "columns": self._columns,
            "modalities": self._further,
        }
        path = os.path.join(self._directory, "dataset.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(self.info, indent=1) + "\n")

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.close()
            return
        self._index.close()
        with contextlib.suppress(tf.errors.OpError):  # a full disk is already on its way up
            self._close_shard()


def write(
    directory: str | os.PathLike,
    records: Iterable[Record],
    *,
    source: str = "manifest",
    shards: int = 1,
    columns: Sequence[str] = (),
    modalities: Sequence[str] = (),
) -> dict:
    """Writes `records`, grouped by split, as the data set `directory`; returns `dataset.json`."""
    records = list(records)
    planned = collections.Counter(record.split for record in records)
    os.makedirs(directory, exist_ok=True)
    with Writer(
        directory,
        source=source,
        planned=planned,
        shards=shards,
        columns=columns,
        modalities=modalities,
    ) as writer:
        for record in records:
            writer.add(record)
    return writer.info


@dataclasses.dataclass(frozen=True)
class Index:
    """What `index.csv` and `dataset.json` say, column by column.

    Attributes:
      directory: of the data set.
      id: [N] str; likewise `split`, `label`, `shard` (file name relative to `directory`).
      offset: [N] int64, byte offset of the payload in its shard; `length` [N] int64, its bytes.
      num_samples: [N] int64, 0 without audio.
      height: [N] int64, 0 without an image; likewise `width`.
      frames: picture modality (`image` and each further one) to [N] int64, 0 where a row has none.
      extra: name of a further column to [N] str.
      info: the content of `dataset.json`.
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
        return tuple(name for name in ("audio", *self.frames) if self.held(name).any())

    def held(self, modality: str) -> np.ndarray:
        """Returns [N] bool: which rows hold `modality`. One that the data does not know: none."""
        if modality == "audio":
            return self.num_samples > 0
        return self.frames.get(modality, np.zeros(len(self), np.int64)) > 0

    @property
    def shard_bytes(self) -> dict[str, int]:
        """Size of each shard file in bytes."""
        return {shard["file"]: shard["bytes"] for shard in self.info["shards"]}

    @classmethod
    def read(cls, directory: str | os.PathLike) -> "Index":
        """Reads the index of a prepared data set (any path that `tf.io.gfile` knows).

        Raises:
          UserError: the folder is not a prepared data set, is of another format, or a shard is
            missing or cut short.
        """
        directory = os.fspath(directory)
        info_path = os.path.join(directory, "dataset.json")
        if not tf.io.gfile.exists(info_path):
            raise registry.UserError(
                f"{directory} is not a prepared data set (it has no dataset.json): "
                f"make one with tfav-prepare --output={directory}."
            )
        with tf.io.gfile.GFile(info_path) as file:
            info = json.loads(file.read())
        if info.get("format") != FORMAT:
            raise registry.UserError(
                f"{info_path} has format {info.get('format')!r} and this version reads {FORMAT}: "
                "run tfav-prepare again."
            )
        for shard in info["shards"]:
            _check_shard(os.path.join(directory, shard["file"]), shard["bytes"])
        with tf.io.gfile.GFile(os.path.join(directory, "index.csv")) as file:
            header, *lines = csv.reader(io.StringIO(file.read(), newline=""))
        columns = list(zip(*lines)) if lines else [()] * len(header)
        frame_columns = _frame_columns(info["modalities"])
        numbers = {*_NUMBERS, *frame_columns.values()}
        table = {
            name: np.array(values, dtype=np.int64 if name in numbers else np.str_)
            for name, values in zip(header, columns)
        }
        fixed = {name: table.pop(name) for name in COLUMNS}
        frames = {name: table.pop(column) for name, column in frame_columns.items()}
        return cls(directory=directory, frames=frames, extra=table, info=info, **fixed)

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


def _frame_columns(further: Iterable[str]) -> dict[str, str]:
    """Returns picture modality to its column of the index."""
    return {"image": FRAMES} | {name: f"{FRAMES}_{name}" for name in further}


def _check_shard(path: str, size: int) -> None:
    found = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else None
    if found != size:
        what = "is missing" if found is None else f"has {found} bytes instead of {size}"
        raise registry.UserError(f"{path} {what}: copy it again or run tfav-prepare again.")
