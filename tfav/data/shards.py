"""A data set on disk: TFRecord shards, and an index that gives random access to every record.

`DIR/dataset.json` describes the whole, `DIR/index.csv` has one line per record, and the payload of
a record is a `tf.train.Example` with `id`, and where the row has them `audio` (PCM16 little-endian,
mono, 16 kHz), `image` and further image modalities such as `flow` (each a list of JPEGs: the frames
in order), and modalities of other kinds as their `data.kinds.Kind` writes them. The index holds the
byte range of each payload, so that a reader fetches any record with `tf.raw_ops.TFRecordDatasetV2`
at its byte offset (see `input.reader`), and no Python.

What is written is here; `Index`, which reads it, is made in `index` and belongs to this door.
"""

import collections
import contextlib
import csv
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfav import files, states, tensors
from tfav.data.index import Index
from tfav.data.index_files import (
    COLUMNS,
    FOOTER_BYTES,
    FORMAT,
    FRAMES,
    HEADER_BYTES,
    frame_columns,
)

__all__ = ["COLUMNS", "FORMAT", "FRAMES", "Index", "Record", "Writer", "serialize", "write"]


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
      further: further modalities, name to frames (bytes of JPEG files), or of another kind to the
        one content that `Kind.read` returns.
      kinds: kind of those of `further` that are no images, by name.
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
    kinds: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def frames(self) -> dict[str, Sequence[bytes]]:
        """What the row stores of `image` and of every further modality, `image` first."""
        image = [self.image] if isinstance(self.image, bytes) else self.image or ()
        pictures = {"image": image, **self.further}
        return {name: files for name, files in pictures.items() if len(files)}


def serialize(record: Record) -> bytes:
    """Returns the `tf.train.Example` payload of `record`, the same bytes every time."""
    feature: dict[str, Sequence[bytes]] = {"id": [record.id.encode()]}
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
      modalities: names of the modalities beside `audio` and `image`.
      vector_spaces: modality of vectors to the id of their embedding space, where they name one.
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
        vector_spaces: Mapping[str, str] | None = None,
    ):
        self._directory = os.fspath(directory)
        self._source = source
        self._planned = {split: max(1, rows) for split, rows in planned.items()}
        wanted = shards if isinstance(shards, Mapping) else dict.fromkeys(planned, shards)
        self._shards = {s: max(1, min(wanted[s], n)) for s, n in self._planned.items()}
        self._columns = list(columns)
        self._further = list(modalities)
        self._vector_spaces = dict(vector_spaces or {})
        self._kinds: dict[str, str] = {}
        self._splits: dict[str, dict] = {}
        self._labels: dict[str, dict[str, None]] = {}
        self._files: list[dict] = []
        self._open: tf.io.TFRecordWriter | None = None
        self._payloads = hashlib.sha256()  # of the shard that is open
        path = os.path.join(self._directory, "index.csv")
        self._index = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115 (till close)
        self._lines = csv.writer(self._index, lineterminator="\n")
        self._lines.writerow([*COLUMNS, *frame_columns(self._further).values(), *self._columns])

    def add(self, record: Record) -> None:
        """Appends one record. Raises ValueError when it has a modality that was not announced."""
        unknown = set(record.further) - set(self._further)
        if unknown:
            raise ValueError(f"{record.id} has {unknown}, and modalities is {self._further}")
        self._kinds |= record.kinds
        pictures = list(frame_columns(self._further))
        count = self._splits.setdefault(
            record.split, {"labels": [], "audio": 0, **dict.fromkeys(pictures, 0), "rows": 0}
        )
        name = self._shard_name(record.split, count["rows"])
        if self._open is None or self._files[-1]["file"] != name:
            self._open = self._start(name)
        payload = serialize(record)
        self._open.write(payload)
        self._payloads.update(payload)
        shard = self._files[-1]
        num_samples = 0 if record.audio is None else len(record.audio)
        self._lines.writerow(
            [record.id, record.split, record.label, name, shard["bytes"] + HEADER_BYTES]
            + [len(payload), num_samples, record.height, record.width]
            + [len(record.frames.get(name, ())) for name in pictures]
            + [record.extra.get(column, "") for column in self._columns]
        )
        shard["bytes"] += HEADER_BYTES + len(payload) + FOOTER_BYTES
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

    def _start(self, name: str) -> tf.io.TFRecordWriter:
        if any(file["file"] == name for file in self._files):
            raise ValueError(f"records of one split must follow each other: {name} was closed")
        self._close_shard()
        writer = tf.io.TFRecordWriter(os.path.join(self._directory, name))
        self._files.append({"file": name, "bytes": 0, "records": 0})
        self._payloads = hashlib.sha256()
        return writer

    def _close_shard(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
            self._files[-1]["sha256"] = self._payloads.hexdigest()

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
                    nothing = hashlib.sha256().hexdigest()
                    self._files.append({"file": name, "bytes": 0, "records": 0, "sha256": nothing})
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
            **({"kinds": self._kinds} if self._kinds else {}),
            **({"vector_spaces": self._vector_spaces} if self._vector_spaces else {}),
            "index_sha256": files.sha256(os.path.join(self._directory, "index.csv")),
        }
        states.write(os.path.join(self._directory, "dataset.json"), self.info)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
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
