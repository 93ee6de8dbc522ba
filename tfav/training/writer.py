"""What a run leaves to read: scalars as JSON lines and for TensorBoard."""

import json
import os

import tensorflow as tf


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
                kept = [
                    line for line in f if line.endswith("\n") and json.loads(line)["step"] <= step
                ]
        temporary = self._path + ".tmp"
        with open(temporary, "w", encoding="utf-8") as f:
            f.writelines(kept)
        os.replace(temporary, self._path)
        self._events = tf.summary.create_file_writer(os.path.join(workdir, "tensorboard"))

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Writes one line, `{"step": step, name: value, ...}`."""
        with open(self._path, "a", encoding="utf-8") as f:
            f.write(json.dumps({"step": step, **scalars}) + "\n")
        with self._events.as_default():
            for name, value in scalars.items():
                tf.summary.scalar(name, value, step=step)
        self._events.flush()
