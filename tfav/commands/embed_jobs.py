"""The shards that `embed_shards` wants, and how one of them is made by any process."""

import dataclasses
import functools
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfav import files
from tfav.commands import load
from tfav.data import index as index_lib
from tfav.data import kinds
from tfav.data.input import pipeline
from tfav.experiment import inputs
from tfav.inference import embedders, file_embedding
from tfav.media import limits

ROWS = 512  # of a shard: what a killed command embeds anew at most, per worker
_BATCH_SIZE = 32
_FORMAT = 1


class Job(NamedTuple):
    """One shard to be made.

    Attributes:
      path: of the shard.
      model: what embeds.
      modality: of its items.
      items: id and path of each file; of a data set id and an empty path.
      data: the data set; empty: files.
      bounds: what of one file is refused as too long or too large.
    """

    path: str
    model: str
    modality: str
    items: tuple[tuple[str, str], ...]
    data: str
    bounds: limits.Limits


def jobs(
    model: str,
    embedder: embedders.Embedder,
    wanted: dict[str, list[tuple[str, str]]],
    data: str,
    output: str,
    bounds: limits.Limits,
) -> Iterator[Job]:
    """Yields the job of each shard.

    Args:
      model: what embeds.
      embedder: the same, opened.
      wanted: modality to id and path of each file.
      data: the data set that they are of; empty: files.
      output: folder of the shards.
      bounds: what of one file is refused as too long or too large.
    """
    decided = [_FORMAT, embedder.embedding_space, dataclasses.asdict(bounds)]
    if data:
        decided.append(index_lib.Index.read(data).sha256)
    for modality, items in wanted.items():
        for number, first in enumerate(range(0, len(items), ROWS)):
            part = tuple(items[first : first + ROWS])
            content = [decided, modality, [[name, path, _state(path)] for name, path in part]]
            digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
            path = os.path.join(output, f"{modality}-{number:08d}-{digest}.npz")
            yield Job(path, model, modality, part, data, bounds)


def _state(path: str) -> list[int]:
    try:
        found = os.stat(path)
        return [found.st_size, found.st_mtime_ns]
    except OSError:
        return []


def make(job: tuple) -> None:
    """Makes the shard of a `Job`, whole or not at all."""
    job = Job(*job)  # Beam hands plain tuples on
    embedder = _embedder(job.model)
    done = _of_data(embedder, job) if job.data else _of_files(embedder, job)
    arrays = {f"{job.modality}_id": np.zeros(0, "U1"), **done.arrays}
    arrays.setdefault(job.modality, np.zeros([0, 0], np.float32))
    bad = np.array(done.bad, np.str_).reshape(-1, 2)
    half = os.path.join(os.path.dirname(job.path), f".{uuid.uuid4().hex}.npz")
    files.write_npz(half, {**arrays, "left_out": bad})
    os.replace(half, job.path)


@functools.lru_cache(maxsize=1)  # a worker embeds many shards by one model
def _embedder(model: str) -> embedders.Embedder:
    return load.embedder(model)


def _of_files(embedder: embedders.Embedder, job: Job) -> file_embedding.Embedded:
    return file_embedding.embed_some(
        embedder, job.modality, job.items, batch_size=_BATCH_SIZE, bounds=job.bounds
    )


def _of_data(embedder: embedders.Embedder, job: Job) -> file_embedding.Embedded:
    spec = embedder.items[job.modality]
    names = [name for name, _ in job.items]
    batches = pipeline.evaluation_batches(
        job.data,
        names,
        job.modality,
        batch_size=_BATCH_SIZE,
        item=kinds.Item(kinds.find(spec.kind), spec),
        max_seconds=embedder.hearing.max_seconds,
        min_seconds=embedder.hearing.min_seconds,
    )
    with inputs.whole(job.data):
        vectors = [embedder.embed(job.modality, batch) for batch in batches.as_numpy_iterator()]
    arrays = {
        **file_embedding.about(embedder),
        f"{job.modality}_id": np.array(names),
        job.modality: np.concatenate(vectors),
    }
    return file_embedding.Embedded(arrays, [], {})
