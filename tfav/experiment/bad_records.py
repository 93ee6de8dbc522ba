"""Records that cannot be read while a run trains: which they are, how many, and when they stop it.

A training that tolerates some replaces each by the next row of its plan (`data.input.batches`), and
only counts that it did. Which they were is told here, from the plan, once a call of steps is over.
"""

import contextlib
import csv
import io
import os
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from tfav import files, registry
from tfav.clients import client
from tfav.data import shards
from tfav.data.input import batches as batches_lib
from tfav.data.input import reader as reading
from tfav.training import fitting

FILE = "bad_records.csv"
NOTHING = "was empty"  # TensorFlow says of a record behind the end, and where no attempt was whole
_COLUMNS = ("id", "shard", "row", "reason")
_HEADER_BYTES = 12


class BadRecords:
    """The bad records that a run has met, kept in `bad_records.csv` of its workdir.

    Args:
      workdir: the run's folder.
      batches: its input.
      whole: index of the whole data set, whose rows are counted.
      most: how many there may be.
      write: whether this process keeps the file.
    """

    def __init__(
        self,
        workdir: str,
        batches: batches_lib.Batches,
        whole: shards.Index,
        most: int,
        *,
        write: bool,
    ):
        self._path = os.path.join(workdir, FILE)
        self._batches = batches
        self._reader = reading.Reader(batches.index)
        self._whole = whole
        self._most = most
        self._write = write
        self._reason: dict[int, str] = {}  # row of the split's index to why
        self._met = _read(self._path)

    def note(self, start: int, stop: int, replaced: int) -> bool:
        """Finds out which records were replaced in steps [start, stop).

        Args:
          start: first of these steps.
          stop: the one behind the last.
          replaced: how many places of batches were filled by another row.

        Returns:
          whether there are more than may be.
        """
        index, before = self._batches.index, len(self._met)
        for thorough in (False, True):  # decoding everything is for what its bytes do not tell
            left = replaced
            for step in range(start, stop):
                if left > 0:
                    left -= self._note_step(step, thorough)
            if left <= 0:
                break
        for row, reason in self._reason.items():
            name = str(index.id[row])
            if name not in self._met:
                place = place_of(self._whole, name)
                self._met[name] = {"id": name, **place, "reason": reason}
        if len(self._met) > before:
            last = next(reversed(self._met.values()))
            logging.warning(
                "%d bad records were replaced so far (last: %s); see %s",
                len(self._met),
                words(last),
                self._path,
            )
            if self._write:
                _save(self._path, list(self._met.values()))
        return len(self._met) > self._most

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        """Makes a sentence of a training that was stopped because there are too many."""
        try:
            yield
        except fitting.TooManyReplaced as error:
            text = words(next(reversed(self._met.values()))) if self._met else "another worker's"
            raise registry.UserError(
                f"{len(self._met)} records of {self._batches.index.directory} cannot be read and "
                f"--config.data.max_bad_records={self._most} allows fewer (last: {text}): copy the "
                "data set again, or raise that number; the same command continues."
            ) from error

    def _note_step(self, step: int, thorough: bool) -> int:
        """Looks at the records of a step; returns how many of its places were filled anew.

        Args:
          step: Number of the step.
          thorough: also decode what can be read.
        """
        found = 0
        todo = list(range(self._batches.batch_size))
        for attempt in range(batches_lib.ATTEMPTS):
            drawn = self._batches.plan(tf.constant(step, tf.int64), attempt=attempt)
            rows = self._batches.rows(step, attempt)
            for place in todo:
                self._look(rows[place].tolist())
                if thorough and not self._bad(rows[place]):
                    self._decode(rows[place].tolist(), {n: x[place] for n, x in drawn.items()})
            todo = [place for place in todo if self._bad(rows[place])]
            found += 0 if attempt else len(todo)
            if not todo:
                break
        return found

    def _bad(self, rows: np.ndarray) -> bool:
        return any(row in self._reason for row in rows.tolist())

    def _look(self, rows: list[int]) -> None:
        for row in rows:
            reason = "" if row in self._reason else problem(self._reader, row)
            if reason:
                self._reason[row] = reason

    def _decode(self, rows: list[int], drawn: dict[str, tf.Tensor]) -> None:
        try:
            self._batches.load(self._reader, drawn)
        except tf.errors.OpError as error:
            self._reason |= dict.fromkeys(rows, client.asserted(error.message))


def problem(reader: reading.Reader, row: int) -> str:
    """Returns why a record cannot be read; empty: it can."""
    try:
        reader.payload(tf.constant(row, tf.int64))
    except tf.errors.NotFoundError:
        return "its shard is missing"
    except tf.errors.DataLossError as error:
        return "truncated" if "truncated" in error.message else "its checksum does not fit"
    except tf.errors.OpError as error:  # nothing is left behind the cut
        return "truncated" if NOTHING in error.message else client.asserted(error.message)
    return ""


def place_of(whole: shards.Index, name: str) -> dict[str, str]:
    """Returns the shard of a record, and its row in `index.csv`, from 1."""
    (row,) = (whole.id == name).nonzero()[0][:1]
    return {"shard": str(whole.shard[row]), "row": str(row + 1)}


def words(bad: dict[str, str]) -> str:
    """Returns a bad record in words."""
    return f"shard {bad['shard']}, row {bad['row']}, id {bad['id']}: {bad['reason']}"


def find(directory: str, message: str) -> str:
    """Returns in words which record TensorFlow complains of; empty where none can be told.

    Its message says where in a file, and not in which.
    """
    whole = shards.Index.read(directory, cut=True)
    reader = reading.Reader(whole)
    suspects = whole.lost().nonzero()[0].tolist()
    where = re.search(r"(?:corrupted|truncated) record at (\d+)", message)
    if where:
        behind = whole.offset - int(where[1])  # it names the record, or its content
        told = (behind == 0) | (behind == _HEADER_BYTES)
        suspects = told.nonzero()[0].tolist() + suspects
    for row in suspects:
        reason = problem(reader, row)
        if reason:
            bad = {"id": str(whole.id[row]), "reason": reason}
            return words({**bad, **place_of(whole, bad["id"])})
    return ""


def _read(path: str) -> dict[str, dict[str, str]]:
    """Returns what an earlier start of the run has met, by id."""
    if not os.path.exists(path):
        return {}
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        rows = list(csv.DictReader(file))
    if any(set(row) != set(_COLUMNS) or None in row.values() for row in rows):
        raise registry.UserError(f"{path} is damaged: delete it, and bad records are counted anew.")
    return {row["id"]: row for row in rows}


def _save(path: str, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())
