"""What a run leaves to read: scalars as JSON lines and for TensorBoard."""

import errno
import json
import os

import tensorflow as tf

from tfav import files, registry


class Writer:
    """Appends scalars to `scalars.jsonl` and to TensorBoard's event file.

    Lines past `step` are dropped first: they belong to a part of the run that is done again.

    Args:
      workdir: the run's folder.
      step: where the run continues.
    """

    def __init__(self, workdir: str, step: int):
        self._path = os.path.join(workdir, "scalars.jsonl")
        kept = []
        if os.path.exists(self._path):
            with open(self._path, encoding="utf-8") as f:
                # A line without its end is what a kill left of one.
                kept = [line for line in f if line.endswith("\n") and self._step(line) <= step]
        files.write_text(self._path, "".join(kept))
        self._events = tf.summary.create_file_writer(os.path.join(workdir, "tensorboard"))

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Writes one line, `{"step": step, name: value, ...}`."""
        line = (json.dumps({"step": step, **scalars}) + "\n").encode()
        with open(self._path, "ab", buffering=0) as f:
            size = f.tell()
            if f.write(line) < len(line):
                f.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
        with self._events.as_default():
            for name, value in scalars.items():
                tf.summary.scalar(name, value, step=step)
        self._events.flush()

    def _step(self, line: str) -> int:
        try:
            return json.loads(line)["step"]
        except (ValueError, KeyError, TypeError) as error:
            raise registry.UserError(
                f"{self._path} has the line {line.strip()[:60]!r}, which is no JSON with a step: "
                "remove that line."
            ) from error
