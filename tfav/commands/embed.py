"""Embeds files: audio, images and what else a model takes in, one `.npz` of unit vectors out."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from tfav import files, registry
from tfav.commands import destinations, load
from tfav.inference import file_embedding, input_files
from tfav.media import limits

_BATCH_SIZE = 32


class Written(NamedTuple):
    """What became of files.

    Attributes:
      output: the `.npz`.
      done: what is in it, and what is not.
      heard_seconds: of a clip that is longer, so much is heard.
    """

    output: str
    done: file_embedding.Embedded
    heard_seconds: float

    def shapes(self) -> dict[str, list[int]]:
        """Returns modality to [N, D]."""
        found = {name: list(x.shape) for name, x in self.done.arrays.items()}
        return {name: shape for name, shape in found.items() if len(shape) == 2}

    def lines(self) -> list[str]:
        """Returns lines that say it."""
        lines = [f"left out {path}: {reason}" for path, reason in self.done.bad]
        lines += ["{}: {} x {}".format(name, *shape) for name, shape in self.shapes().items()]
        if self.done.unheard:
            path, most = max(self.done.unheard.items(), key=lambda item: item[1])
            lines.append(
                f"{len(self.done.unheard)} clips are longer than the {self.heard_seconds:g} s that "
                f"are heard of each (eval.audio_seconds of the run): "
                f"{sum(self.done.unheard.values()):.1f} s are not heard, most of {path} "
                f"({most:.1f} s)"
            )
        return [*lines, f"wrote {self.output}"]

    def record(self) -> dict[str, Any]:
        """Returns it as what `--json` prints."""
        return {
            "output": self.output,
            "embedding_space": str(self.done.arrays["embedding_space"]),
            "shapes": self.shapes(),
            "left_out": [{"path": path, "reason": why} for path, why in self.done.bad],
            "unheard_seconds": self.done.unheard,
        }


def embed(
    source: str,
    inputs: Sequence[str],
    output: str,
    max_bad_fraction: float,
    overwrite: bool,
    stream: bool,
    bounds: limits.Limits = limits.DEFAULT,
) -> Written:
    """Embeds files into one `.npz`; returns what was written.

    Args:
      source: a workdir, a SavedModel folder or a `.tflite`.
      inputs: files or folders.
      output: the `.npz`.
      max_bad_fraction: share of files that cannot be embedded that may be left out.
      overwrite: replace an existing output.
      stream: decode audio inside tf.data by tensorflow-io (the dependency set of addons).
      bounds: what of one file is refused as too long or too large.
    """
    destinations.check_file("output", output, "embeddings")
    if os.path.exists(output) and not overwrite:
        raise registry.UserError(f"{output} exists: name another --output, or pass --overwrite.")
    embedder = load.embedder(source)
    found = input_files.find(inputs, embedder.items)
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    done = file_embedding.embed(
        embedder,
        found,
        batch_size=_BATCH_SIZE,
        max_bad_fraction=max_bad_fraction,
        stream=stream,
        bounds=bounds,
    )
    files.write_npz(output, done.arrays)
    return Written(output, done, embedder.hearing.max_seconds)
