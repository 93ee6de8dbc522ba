"""From a trained recipe to published artefacts: all of them, proven, or none."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfav import files, registry, tensors
from tfav.export import servable as servable_lib
from tfav.export.lite import calibration as calibration_lib
from tfav.export.lite import durations as ladder
from tfav.export.lite import tflite
from tfav.export.parity import certificate, golden, reference, verification
from tfav.export.serving import deployment, saved_model
from tfav.recipes import recipe as base

PARITY_FILE = "parity.json"
LABELS_FILE = "labels.txt"
GOLDEN_FILE = "golden.json"
DRIFT_FILE = "drift.csv"


def publish(
    recipe: base.Recipe,
    inputs: reference.Inputs,
    directory: str,
    *,
    audio_seconds: float,
    min_cosine: float,
    min_cosine_int8: float = 0.98,
    version: int | str | None = None,
    precisions: Sequence[str] = ("float32", "float16"),
    durations: Sequence[float] = (),
    dynamic_time: bool = False,
    on_phone: base.Recipe | None = None,
    calibration: calibration_lib.Rows = (),
    num_frames: Mapping[str, int] | None = None,
    classes: Sequence[str] | None = None,
    rows: reference.Rows = (),
    trials: verification.Trials | None = None,
    keep_versions: int = 0,
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Exports a recipe, compares the artefacts with the recipe, then publishes them.

    `directory` gets `<version>/` and configuration files (for TensorFlow Serving),
    `<modality>_<precision>.tflite`, of a recipe that classifies `classifier_<precision>.tflite` and
    `labels.txt`, `golden.json`, `drift.csv` (items that an artefact turned, worst first; a header
    alone: none) and `parity.json`. All but the first stand in place of those of an earlier
    version, which go.

    Args:
      recipe: built, float32, with the weights to export.
      inputs: modality to (id, item) of real inputs: waveforms [T] float32 in [-1, 1], 16 kHz, and
        pictures [S, S, 3] uint8 of the encoder's size, or [F, S, S, 3] of several frames. A
        modality left out is taken from `rows`.
      directory: the export's folder.
      audio_seconds: fixed clip length of the `.tflite`.
      min_cosine: an item below it, in any float artefact, forbids all.
      min_cosine_int8: likewise in any 8-bit one.
      version: a positive integer; None: the one after the newest.
      precisions: of the `.tflite` files.
      durations: clip lengths in seconds, a signature each, instead of `audio_seconds`.
      dynamic_time: clips of any length, instead of `audio_seconds`.
      on_phone: the recipe with the same weights as the `.tflite` compute it, where that differs
        in form; it is compared with `recipe`.
      calibration: real inputs of the training data, for `int8_static`.
      num_frames: modality to frames of a picture input; one where left out.
      classes: their names in the order of the logits, of a recipe that classifies.
      rows: (id, modality to item) of real inputs to classify or localise, each with every
        modality.
      trials: pairs of sound and picture to verify before and after.
      keep_versions: so many of the newest version folders stay; 0: all.
      about: further entries of `parity.json`, such as origin and license.

    Returns:
      The content of `parity.json`.

    Raises:
      UserError: a value out of range, parity that fails, or a folder that cannot be written;
        nothing was published then.
      ValueError: an artefact that is not whole, or `classes` that are not the recipe's.
    """
    ladder.check(audio_seconds, durations, dynamic_time)
    tflite.require(precisions)
    servable = servable_lib.Servable(recipe, num_frames, classes or ())
    inputs = _checked(servable, inputs, rows)
    number = saved_model.choose_version(directory, version)
    with saved_model.staging(directory) as stage:
        model = os.path.join(stage, str(number))
        saved_model.save(servable, model, servable.signatures())
        name = os.path.basename(os.path.abspath(directory))
        deployment.finish(servable, model, name)
        files = tflite.write(
            servable_lib.Servable(on_phone, num_frames, classes or ()) if on_phone else servable,
            stage,
            audio_samples=max(1, round(audio_seconds * tensors.SAMPLE_RATE_HZ)),
            precisions=tuple(precisions),
            durations=durations,
            dynamic_time=dynamic_time,
            calibration=calibration,
        )
        artefacts = {str(number): "float32", **files}
        found = {
            "version": number,
            "audio_seconds": audio_seconds,
            "min_cosine": min_cosine,
            "min_cosine_int8": min_cosine_int8,
            "classes": list(servable.classes),
            **(about or {}),
            **certificate.certificate(recipe, inputs, stage, artefacts, rows, trials),
        }
        certificate.check(found, min_cosine, min_cosine_int8)
        texts = {
            **deployment.config_files(name),
            GOLDEN_FILE: json.dumps(golden.vectors(recipe, servable.num_frames)) + "\n",
            DRIFT_FILE: certificate.drift_csv(found),
        }
        if servable.classifies:
            texts[LABELS_FILE] = "".join(f"{name}\n" for name in servable.classes)
        texts[PARITY_FILE] = json.dumps(found, indent=2) + "\n"
        for file, text in texts.items():
            with open(os.path.join(stage, file), "w", encoding="utf-8") as f:
                f.write(text)
        names = [str(number), *files, *texts]
        os.makedirs(directory, exist_ok=True)
        _move(stage, directory, names, _stale(directory, names))
    deployment.prune(directory, keep_versions)
    return found


def _checked(
    servable: servable_lib.Servable, inputs: reference.Inputs, rows: reference.Rows
) -> reference.Inputs:
    """Returns the inputs of every modality, once they and the classes are known to be whole."""
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
    return inputs


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
        and files.sha256(os.path.join(directory, name)) == sha256
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
