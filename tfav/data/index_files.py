"""The files of the index of a data set, `dataset.json` and `index.csv`, checked as they are read.

A wrong label or byte range would train without a word.
"""

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfav import registry, states, tensors

FORMAT = 2
NUMBERS = ("offset", "length", "num_samples", "height", "width")
COLUMNS = ("id", "split", "label", "shard", *NUMBERS)
FRAMES = "num_frames"  # the column of `image`; a further modality M has num_frames_M
HEADER_BYTES = 12  # of a TFRecord: payload length (8), its checksum (4); the payload follows
FOOTER_BYTES = 4  # checksum of the payload

_TABLE = "index.csv"
_INFO = {
    "format": int,
    "sample_rate_hz": int,
    "source": str,
    "splits": {"*": {"labels": [str], "*": int}},  # rows in all, and of each modality
    "shards": [{"file": str, "bytes": int, "records": int, "sha256?": str}],  # of its records
    "columns": [str],
    "modalities": [str],
    "kinds?": {"*": str},  # of those that are no images
    "vector_spaces?": {"*": str},  # ids of embedding spaces, of vectors that name theirs
    "index_sha256?": str,  # data sets of older versions have none
}


def frame_columns(further: Iterable[str]) -> dict[str, str]:
    """Returns the column of the index of `image` and of each further modality."""
    return {"image": FRAMES} | {name: f"{FRAMES}_{name}" for name in further if name != "image"}


def fix_of(directory: str) -> str:
    """Returns what to do about a data set whose files are damaged."""
    return (
        "copy the data set again, or make it again with "
        f"tfav-prepare --output={directory} --overwrite"
    )


def sha256(directory: str) -> str:
    """Returns the SHA-256 by which a data set is known, see `identity`.

    Raises:
      UserError: no prepared data set is there, or its `dataset.json` is damaged.
    """
    table = hashlib.sha256(_table(directory)).hexdigest()
    return identity({**read_info(directory), "index_sha256": table})


def identity(info: Mapping[str, Any]) -> str:
    """Returns the SHA-256 by which a data set is known: of `index.csv` and of all records.

    The index alone says how long each record is and not what it holds. Of a data set of an older
    version, whose `dataset.json` has no hashes of records, it is that of `index.csv`.

    Args:
      info: the content of `dataset.json`, with `index_sha256`.
    """
    records = [shard["sha256"] for shard in info["shards"] if "sha256" in shard]
    if not records:
        return info["index_sha256"]
    return hashlib.sha256(" ".join([info["index_sha256"], *records]).encode()).hexdigest()


def _table(directory: str) -> bytes:
    path = os.path.join(directory, _TABLE)
    if not tf.io.gfile.exists(path):
        raise registry.UserError(f"{path} does not exist: {fix_of(directory)}.")
    return _content(path)


def _content(path: str) -> bytes:
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def read_info(directory: str) -> dict:
    """Returns the content of `dataset.json`.

    Raises:
      UserError: there is none, or it is damaged or of another format.
    """
    path = os.path.join(directory, "dataset.json")
    if not tf.io.gfile.exists(path):
        raise registry.UserError(
            f"{directory} is not a prepared data set (it has no dataset.json): "
            f"make one with tfav-prepare --output={directory}."
        )
    content, fix = _content(path), fix_of(directory)
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


def read_table(directory: str, info: dict) -> dict[str, np.ndarray]:
    """Returns the columns of `index.csv` by name; notes its hash in `info`.

    Raises:
      UserError: there is none, or it is damaged or not the one that was written.
    """
    path, fix = os.path.join(directory, _TABLE), fix_of(directory)
    content = _table(directory)
    found_sha256 = hashlib.sha256(content).hexdigest()
    if info.setdefault("index_sha256", found_sha256) != found_sha256:
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


def size(path: str) -> int | None:
    """Returns the bytes of a file; None where there is none."""
    return tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else None


def check_shards(directory: str, shards: Iterable[dict]) -> None:
    """Raises UserError where a shard is missing or has another size than `dataset.json` says."""
    for shard in shards:
        path, written = os.path.join(directory, shard["file"]), shard["bytes"]
        found = size(path)
        if found != written:
            what = "is missing" if found is None else f"has {found} bytes instead of {written}"
            raise registry.UserError(f"{path} {what}: {fix_of(directory)}.")
