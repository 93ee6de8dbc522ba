"""Ships a run: published artefacts, and embeddings of files."""

import os
from collections.abc import Sequence

import ml_collections
import numpy as np

from tfav import config as config_lib
from tfav import registry
from tfav.build import models, reading
from tfav.data import shards
from tfav.export import answers, embedders, files, publish
from tfav.recipes import base
from tfav.training import checkpoints


def _spread(ids: np.ndarray, limit: int = 32) -> list[str]:
    """Returns up to `limit` of the ids, evenly spread."""
    return ids[np.linspace(0, len(ids) - 1, min(limit, len(ids))).round().astype(int)].tolist()


def _parity_part(index: shards.Index) -> shards.Index:
    """Returns the test (or else last) split: what parity is measured on."""
    return index.select(
        "test" if "test" in index.info["splits"] else list(index.info["splits"])[-1]
    )


def _parity_inputs(
    c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Returns a few items of each modality."""
    part = _parity_part(index)
    inputs: dict[str, list[tuple[str, np.ndarray]]] = {}
    for modality in recipe.encoders:
        ids = _spread(part.id[part.held(modality)])
        if not ids:
            continue  # publish says what is missing
        batches = reading.evaluation_batches(c, index.directory, ids, modality, 1)
        with reading.whole(index.directory):
            inputs[modality] = [
                (b["id"][0].decode(), b[modality][0]) for b in batches.as_numpy_iterator()
            ]
    return inputs


def _parity_rows(
    c: ml_collections.ConfigDict, index: shards.Index
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns a few rows that hold every modality."""
    part = _parity_part(index)
    whole = np.all([part.held(m) for m in c.modalities], axis=0)
    ids = _spread(part.id[whole])
    if not ids:
        raise registry.UserError(
            f"no row of {index.directory} to compare the export on holds "
            f"{' and '.join(c.modalities)}: give a data set that holds some, --data=DIR."
        )
    batches = reading.joint_batches(c, index.directory, ids, 1)
    with reading.whole(index.directory):
        return [
            (b["id"][0].decode(), {m: b[m][0] for m in c.modalities})
            for b in batches.as_numpy_iterator()
        ]


def export(
    workdir: str,
    output: str,
    version: str | None = None,
    min_cosine: float | None = None,
    directory: str = "",
) -> list[str]:
    """Publishes a run's encoders as SavedModel and TFLite with their parity; returns a summary.

    Args:
      workdir: of a finished run.
      output: the model's folder.
      version: integer of the version directory; None: the next.
      min_cosine: parity below it publishes nothing; None: the config's.
      directory: the data parity is measured on; empty: that of the run.
    """
    c, recipe, _, labels = models.trained(workdir)
    index = shards.Index.read(directory or c.data.directory)
    classifies = answers.classifies(recipe)
    found = publish.publish(
        recipe,
        {} if classifies else _parity_inputs(c, recipe, index),
        output,
        audio_seconds=c.export.audio_seconds,
        min_cosine=c.export.min_cosine if min_cosine is None else min_cosine,
        version=version,
        num_frames={name: its.num_frames for name, its in models.pictures(c).items()},
        classes=labels if classifies else None,
        rows=_parity_rows(c, index) if answers.joint(recipe) else (),
    )
    lines = []
    for name, artefact in found["artefacts"].items():
        for signature, parity in artefact["parity"].items():
            lines.append(
                f"{os.path.join(output, name):<48} {signature:<24} cosine >= "
                f"{parity['cosine_min']:.7f}  "
                f"max error {parity['max_abs_error']:.1e}"
            )
    return [*lines, f"wrote {os.path.join(output, publish.PARITY_FILE)}"]


def embed(
    source: str,
    inputs: Sequence[str],
    output: str,
    max_bad_fraction: float,
    overwrite: bool,
    stream: bool,
) -> list[str]:
    """Embeds files into one `.npz`; returns lines that say what was written.

    Args:
      source: a workdir, a SavedModel folder or a `.tflite`.
      inputs: files or folders.
      output: the `.npz`.
      max_bad_fraction: share of unreadable files that may be left out.
      overwrite: replace an existing output.
      stream: decode sounds inside tf.data with tensorflow-io (addons line).
    """
    if not output.endswith(".npz"):
        raise registry.UserError(
            f"--output={output}: embeddings are written as .npz, name such a file."
        )
    if os.path.exists(output) and not overwrite:
        raise registry.UserError(f"{output} exists: name another --output, or pass --overwrite.")
    found = files.find(inputs)
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    if os.path.exists(os.path.join(source, "config.json")):
        embedder = files.Run(models.trained(source).recipe)
    else:
        embedder = embedders.load(source)
    # Not the run's own: a SavedModel does not know them, and must hear as much of a clip.
    settings = config_lib.base().eval
    arrays, bad = files.embed(
        embedder,
        found,
        batch_size=settings.batch_size,
        max_seconds=settings.audio_seconds,
        max_bad_fraction=max_bad_fraction,
        stream=stream,
    )
    checkpoints.write_npz(output, arrays)
    lines = [f"left out {path}: {reason}" for path, reason in bad]
    lines += [
        f"{m}: {arrays[m].shape[0]} x {arrays[m].shape[1]}" for m in files.SUFFIXES if m in arrays
    ]
    return [*lines, f"wrote {output}"]
