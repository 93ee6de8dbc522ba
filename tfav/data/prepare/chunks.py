"""Decoded rows kept on disk until their data set is whole, so that nothing is decoded twice.

Rows are taken in chunks of 32. A chunk is one file, named by its number and a digest of all that
decides its content: the rows, size and time of each of their files, how pictures are made, and the
versions of the libraries that decode. A file that a killed run left is used when it has the name of
a chunk, and is only given that name once it is whole. The folder may be any that `tf.io.gfile`
knows, so that other machines can fill it (`data.prepare.beam`).
"""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import itertools
import json
import os
import re
import uuid
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfav import registry
from tfav.data import shards
from tfav.data.prepare import manifest, records

ROWS = 32  # of a chunk: what a killed run decodes anew at most, beside what waits its turn
_FORMAT = 1
_DECODERS = ("av", "numpy", "opencv-python-headless", "pillow", "soundfile", "soxr")
_BAD, _SIZE = "!bad", "!size"  # no names of modalities
_NAME = re.compile(r"[0-9]{8}-[0-9a-f]{64}\.tfrecord(\.[0-9a-f]{32})?")  # whole, or half-written

Result = shards.Record | records.BadRow


class Chunk(NamedTuple):
    """Some rows, in order, and the path of the file that holds what was made of them."""

    path: str
    rows: tuple[manifest.Row, ...]


def cut(rows: Sequence[manifest.Row], options: records.Options, folder: str) -> list[Chunk]:
    """Makes `folder` when it is not there, and cuts `rows` into chunks.

    Raises:
      UserError: the folder holds something else.
    """
    tf.io.gfile.makedirs(folder)
    foreign = [name for name in tf.io.gfile.listdir(folder) if not _NAME.fullmatch(name)]
    if foreign:
        raise registry.UserError(
            f"--decoded={folder} holds {foreign[0]}, which is no decoded chunk: name a folder of "
            "its own."
        )
    versions = {name: _version(name) for name in _DECODERS}
    decided = [_FORMAT, shards.FORMAT, dataclasses.asdict(options), versions]
    chunks = []
    for number, first in enumerate(range(0, len(rows), ROWS)):
        part = tuple(rows[first : first + ROWS])
        content = [decided, [[dataclasses.asdict(row), _state(row)] for row in part]]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        chunks.append(Chunk(os.path.join(folder, f"{number:08d}-{digest}.tfrecord"), part))
    return chunks


def make_all(
    chunks: Sequence[Chunk], options: records.Options
) -> Generator[tuple[manifest.Row, Result], None, None]:
    """Yields what `records.make_all` would, from the files that are there; writes those missing."""
    there = [tf.io.gfile.exists(chunk.path) for chunk in chunks]
    rest = [chunk.rows for chunk, kept in zip(chunks, there) if not kept]
    rows = list(itertools.chain.from_iterable(rest))
    with contextlib.closing(records.make_all(rows, options)) as made:
        for chunk, kept in zip(chunks, there):
            if kept:
                yield from zip(chunk.rows, _read(chunk))
            else:
                yield from _written(chunk, itertools.islice(made, len(chunk.rows)))


def fill(chunk: Chunk, options: records.Options) -> None:
    """Decodes a chunk's rows, one after the other, and writes its file."""
    for _ in _written(chunk, ((row, records.make(row, options)) for row in chunk.rows)):
        pass


def remove(folder: str) -> None:
    """Removes the files of chunks in `folder`, and the folder when nothing else is in it."""
    for name in filter(_NAME.fullmatch, tf.io.gfile.listdir(folder)):
        tf.io.gfile.remove(os.path.join(folder, name))
    if not tf.io.gfile.listdir(folder):
        tf.io.gfile.rmtree(folder)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _state(row: manifest.Row) -> list:
    """Returns size and time of each of the row's files, also of those in its folders."""
    state: list[list[list[object]] | None] = []
    for path in row.paths:
        try:
            files = [path] if os.path.isfile(path) else sorted(e.path for e in os.scandir(path))
            stats = [os.stat(file) for file in files]
        except OSError:
            state.append(None)
            continue
        state.append([[f, s.st_size, s.st_mtime_ns] for f, s in zip(files, stats)])
    return state


def _written(
    chunk: Chunk, results: Iterable[tuple[manifest.Row, Result]]
) -> Iterator[tuple[manifest.Row, Result]]:
    """Yields the results as they come; the file has its name once all of them are in it."""
    half = f"{chunk.path}.{uuid.uuid4().hex}"
    with tf.io.TFRecordWriter(half) as writer:
        for row, result in results:
            writer.write(_packed(result))
            yield row, result
    tf.io.gfile.rename(half, chunk.path, overwrite=True)


def _packed(result: Result) -> bytes:
    if isinstance(result, records.BadRow):
        example = tf.train.Example()
        texts = [t.encode(errors="surrogateescape") for t in result[1:]]
        example.features.feature[_BAD].bytes_list.value.extend(texts)
    else:
        example = tf.train.Example.FromString(shards.serialize(result))
        size = example.features.feature[_SIZE].int64_list.value
        size.extend((result.height, result.width))
    return example.SerializeToString()


def _read(chunk: Chunk) -> Iterator[Result]:
    payloads = tf.data.TFRecordDataset(chunk.path)
    for row, payload in zip(chunk.rows, payloads, strict=True):  # one in memory at a time
        yield _unpacked(row, payload.numpy())


def _unpacked(row: manifest.Row, payload: bytes) -> Result:
    feature = dict(tf.train.Example.FromString(payload).features.feature)
    if _BAD in feature:
        texts = feature[_BAD].bytes_list.value
        return records.BadRow(row.id, *(t.decode(errors="surrogateescape") for t in texts))
    height, width = feature.pop(_SIZE).int64_list.value
    values = {name: list(x.bytes_list.value) for name, x in feature.items() if name != "id"}
    audio = values.pop("audio", None)
    return shards.Record(
        id=row.id,
        split=row.split,
        label=row.label,
        audio=None if audio is None else np.frombuffer(audio[0], "<i2"),
        image=values.pop("image", None),
        height=height,
        width=width,
        extra=row.extra,
        further=values,
        kinds=row.kinds,
    )
