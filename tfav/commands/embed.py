"""Embeds files: audio, images and what else a model takes in, one `.npz` of unit vectors out."""

import os
from collections.abc import Sequence

from tfav import files, registry
from tfav.commands import destinations, load
from tfav.inference import file_embedding, input_files
from tfav.media import limits

_BATCH_SIZE = 32


def embed(
    source: str,
    inputs: Sequence[str],
    output: str,
    max_bad_fraction: float,
    overwrite: bool,
    stream: bool,
    bounds: limits.Limits = limits.DEFAULT,
) -> list[str]:
    """Embeds files into one `.npz`; returns lines that say what was written.

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
    lines = [f"left out {path}: {reason}" for path, reason in done.bad]
    for modality in found:
        if modality in done.arrays:
            lines.append("{}: {} x {}".format(modality, *done.arrays[modality].shape))
    if done.unheard:
        path, most = max(done.unheard.items(), key=lambda item: item[1])
        heard = embedder.hearing.max_seconds
        lines.append(
            f"{len(done.unheard)} clips are longer than the {heard:g} s that are heard of each "
            f"(eval.audio_seconds of the run): {sum(done.unheard.values()):.1f} s are not heard, "
            f"most of {path} ({most:.1f} s)"
        )
    return [*lines, f"wrote {output}"]
