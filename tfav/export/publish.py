"""From a trained recipe to published artefacts: all of them, proven, or none."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfav import lists, registry, typing
from tfav.export import parity, saved_model, tflite
from tfav.export import servable as servable_lib
from tfav.recipes import base

PARITY_FILE = "parity.json"
LABELS_FILE = "labels.txt"


def publish(
    recipe: base.Recipe,
    inputs: parity.Inputs,
    directory: str,
    *,
    audio_seconds: float,
    min_cosine: float,
    version: int | str | None = None,
    precisions: Sequence[str] = ("float32", "float16"),
    num_frames: Mapping[str, int] | None = None,
    classes: Sequence[str] | None = None,
    rows: parity.Rows = (),
) -> dict[str, Any]:
    """Exports a recipe, compares the artefacts with the recipe, then publishes them.

    `directory` gets `<version>/` (for TensorFlow Serving), `<modality>_<precision>.tflite`, of a
    recipe that classifies `classifier_<precision>.tflite` and `labels.txt`, and `parity.json`. All
    but the first stand in place of those of an earlier version, which go.

    Args:
      recipe: built, float32, with the weights to export.
      inputs: modality to (id, item) of real inputs: waveforms [T] float32 in [-1, 1], 16 kHz, and
        pictures [S, S, 3] uint8 of the encoder's size, or [F, S, S, 3] of several frames. A
        modality left out is taken from `rows`.
      directory: the export's folder.
      audio_seconds: fixed clip length of the `.tflite`.
      min_cosine: an item below it, in any artefact, forbids all.
      version: a positive integer; None: the one after the newest.
      precisions: of the `.tflite` files.
      num_frames: modality to frames of a picture input; one where left out.
      classes: their names in the order of the logits, of a recipe that classifies.
      rows: (id, modality to item) of real inputs to classify or localise, each with every
        modality.

    Returns:
      The content of `parity.json`.

    Raises:
      UserError: a value out of range, parity that fails, or a folder that cannot be written;
        nothing was published then.
      ValueError: an artefact that is not whole, or `classes` that are not the recipe's.
    """
    if not audio_seconds > 0:
        raise registry.UserError(
            f"--config.export.audio_seconds={audio_seconds}: give the clip length of the .tflite "
            "in seconds, above 0."
        )
    servable = servable_lib.Servable(recipe, num_frames, classes or ())
    for name in servable.classes:
        if name.splitlines() != [name]:
            raise registry.UserError(
                f"the class {name!r} is not one line, as {LABELS_FILE} has them: mend that label."
            )
    if servable.joint and not rows:
        what = "classes" if servable.classifies else "maps"
        raise registry.UserError(
            f"no row with {' and '.join(servable.modalities)} to compare the export's {what} on: "
            "give a data set that holds some."
        )
    inputs = {m: [(name, row[m]) for name, row in rows] for m in servable.modalities} | inputs
    for modality in servable.modalities:
        if not inputs.get(modality):
            raise registry.UserError(
                f"no {modality} to compare the export on: give a data set that holds some."
            )
        for name, item in inputs[modality]:
            if not item.size or not np.isfinite(item).all():
                raise registry.UserError(
                    f"{name} is empty or holds NaN samples, and parity needs real {modality}: "
                    "prepare the data again."
                )
    number = saved_model.choose_version(directory, version)
    samples = max(1, round(audio_seconds * typing.SAMPLE_RATE_HZ))
    with saved_model.staging(directory) as stage:
        model = os.path.join(stage, str(number))
        saved_model.save(servable, model, servable.signatures())
        saved_model.verify(servable, model)
        files = tflite.write(servable, stage, audio_samples=samples, precisions=tuple(precisions))
        found = parity.certificate(recipe, inputs, stage, {str(number): "float32", **files}, rows)
        found = {
            "version": number,
            "audio_seconds": audio_seconds,
            "min_cosine": min_cosine,
            "classes": list(servable.classes),
            **found,
        }
        parity.check(found, min_cosine)
        with open(os.path.join(stage, PARITY_FILE), "w", encoding="utf-8") as f:
            f.write(json.dumps(found, indent=2) + "\n")
        names = [str(number), *files, PARITY_FILE]
        if servable.classifies:
            with open(os.path.join(stage, LABELS_FILE), "w", encoding="utf-8") as f:
                f.writelines(f"{name}\n" for name in servable.classes)
            names.insert(-1, LABELS_FILE)
        os.makedirs(directory, exist_ok=True)
        _move(stage, directory, names, _stale(directory, names))
    return found


def _stale(directory: str, names: Sequence[str]) -> list[str]:
    """Returns the files of the last export to `directory`, as it wrote them, that `names` lacks."""
    try:
        with open(os.path.join(directory, PARITY_FILE), encoding="utf-8") as f:
            last = json.load(f)
        written = {n: x["files"][n]["sha256"] for n, x in last["artefacts"].items() if _flat(n)}
        if last.get("classes"):
            text = "".join(f"{name}\n" for name in last["classes"])
            written[LABELS_FILE] = hashlib.sha256(text.encode()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or not ours
        return []
    return [
        name
        for name, sha256 in written.items()
        if name not in names
        and os.path.isfile(os.path.join(directory, name))
        and lists.sha256(os.path.join(directory, name)) == sha256
    ]


def _flat(name: str) -> bool:
    return name.endswith(".tflite") and os.path.basename(name) == name


def _move(stage: str, directory: str, names: Sequence[str], stale: Sequence[str]) -> None:
    """Moves `names` from `stage` into `directory`, over older ones, and the `stale` away.

    On failure puts all back.
    """
    backup = os.path.join(stage, "before")
    os.mkdir(backup)
    for name in names:  # whatever needs room on the disk comes before the first change
        if os.path.isfile(os.path.join(directory, name)):
            shutil.copy2(os.path.join(directory, name), backup)
    moved: list[str] = []
    gone: list[str] = []
    try:
        for name in names:
            os.replace(os.path.join(stage, name), os.path.join(directory, name))
            moved.append(name)
        for name in stale:
            os.replace(os.path.join(directory, name), os.path.join(backup, name))
            gone.append(name)
    except BaseException:
        for name in gone:
            os.replace(os.path.join(backup, name), os.path.join(directory, name))
        for name in moved:
            os.replace(os.path.join(directory, name), os.path.join(stage, name))
            if os.path.exists(os.path.join(backup, name)):
                os.replace(os.path.join(backup, name), os.path.join(directory, name))
        raise
