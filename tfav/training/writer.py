"""What a run leaves to read: scalars as JSON lines and for TensorBoard."""

import errno
import os
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from tfav import files, scalars


class Writer:
    """Appends scalars to `scalars.jsonl` and to TensorBoard's event files.

    What lies past `step` goes first from both: it belongs to a part of the run that is done again.
    Damaged lines stay where they are, and the log counts them.

    Args:
      workdir: the run's folder.
      step: where the run continues.
    """

    def __init__(self, workdir: str, step: int):
        self._path = os.path.join(workdir, scalars.FILE)
        found = scalars.lines(workdir)
        scalars.warn(self._path, found)
        if step and not found:
            logging.warning(
                "%s is missing or empty: the log up to step %d is lost", self._path, step
            )
        kept = [x.text for x in found if x.scalars is None or x.scalars["step"] <= step]
        files.write_bytes(self._path, "".join(kept).encode(errors="surrogateescape"))
        events = os.path.join(workdir, "tensorboard")
        for name in sorted(os.listdir(events)) if os.path.isdir(events) else ():
            if "tfevents" in name:
                _purge(os.path.join(events, name), step)
        self._events = tf.summary.create_file_writer(events)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Writes one line, `{"step": step, name: value, ...}`."""
        line = scalars.line(step, values).encode()
        with open(self._path, "ab", buffering=0) as f:
            size = f.tell()
            if f.write(line) < len(line):
                f.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
        with self._events.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._events.flush()


def spent_seconds(workdir: str) -> float | None:
    """Returns how long a run has trained, by the clock times of its event files; None without any.

    A file is of one start: from where it was opened to its last scalars. What a run did before,
    such as building, and what was done again after a kill, is not in it.
    """
    events = os.path.join(workdir, "tensorboard")
    names = [n for n in os.listdir(events) if "tfevents" in n] if os.path.isdir(events) else []
    total = 0.0
    for name in names:
        times = [event.wall_time for event in _events(os.path.join(events, name))]
        total += max(times, default=0.0) - min(times, default=0.0)
    return total if names else None


def _purge(path: str, step: int) -> None:
    """Takes the scalars past `step` out of an event file; one that holds no other goes."""
    events = list(_events(path))
    kept = [e for e in events if e.step <= step or not e.summary.value]
    if len(kept) == len(events):
        return
    if not any(e.summary.value for e in kept):
        os.remove(path)
        return
    with files.whole(path) as temporary, tf.io.TFRecordWriter(temporary) as file:
        for event in kept:
            file.write(event.SerializeToString())


def _events(path: str) -> Iterator[tf.compat.v1.Event]:
    """Yields the events of a file, as far as it can be read: a kill leaves half of the last one."""
    try:
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            yield tf.compat.v1.Event.FromString(record)
    except tf.errors.DataLossError:
        return
