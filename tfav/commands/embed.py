"""Embeds files: sounds and pictures in, one `.npz` of unit vectors out."""

import os
from collections.abc import Sequence

from tfav import config, files, registry
from tfav.experiment import models
from tfav.inference import embedders, file_embedding, recipe_embedder
from tfav.media import limits


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
      max_bad_fraction: share of unreadable files that may be left out.
      overwrite: replace an existing output.
      stream: decode sounds inside tf.data with tensorflow-io (addons line).
      bounds: what of one file is refused as too long or too large.
    """
    if not output.endswith(".npz"):
        raise registry.UserError(
            f"--output={output}: embeddings are written as .npz, name such a file."
        )
    if os.path.exists(output) and not overwrite:
        raise registry.UserError(f"{output} exists: name another --output, or pass --overwrite.")
    found = file_embedding.find(inputs)
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    if os.path.exists(os.path.join(source, "config.json")):
        embedder = recipe_embedder.RecipeEmbedder(models.trained(source).recipe)
    else:
        embedder = embedders.load(source)
    # Not the run's own: a SavedModel does not know them, and must hear as much of a clip.
    settings = config.base().eval
    arrays, bad = file_embedding.embed(
        embedder,
        found,
        batch_size=settings.batch_size,
        max_seconds=settings.audio_seconds,
        max_bad_fraction=max_bad_fraction,
        stream=stream,
        bounds=bounds,
    )
    files.write_npz(output, arrays)
    lines = [f"left out {path}: {reason}" for path, reason in bad]
    for modality in file_embedding.MODALITIES:
        if modality in arrays:
            lines.append("{}: {} x {}".format(modality, *arrays[modality].shape))
    return [*lines, f"wrote {output}"]
