"""From a trained recipe to published artefacts: all of them, proven, or none."""

import json
import os
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfav import registry, typing
from tfav.export import parity, saved_model, tflite
from tfav.export import servable as servable_lib
from tfav.recipes import base

PARITY_FILE = "parity.json"


def publish(
    recipe: base.Recipe,
    inputs: parity.Inputs,
    directory: str,
    *,
    audio_seconds: float,
    min_cosine: float,
    version: int | str | None = None,
    precisions: Sequence[str] = ("float32", "float16"),
) -> dict[str, Any]:
    """Exports a recipe's encoders, compares the artefacts with the recipe, then publishes them.

    `directory` gets `<version>/` (for TensorFlow Serving), `<encoder>_<precision>.tflite` and
    `parity.json`, the last two in place of those of an earlier version.

    Args:
      recipe: built, float32, with the weights to export.
      inputs: modality to (id, item) of real inputs: waveforms [T] float32 in [-1, 1], 16 kHz, and
        images [S, S, 3] uint8 of the encoder's size.
      directory: the export's folder.
      audio_seconds: fixed clip length of the `.tflite`.
      min_cosine: an item below it, in any artefact, forbids all.
      version: a positive integer; None: the one after the newest.
      precisions: of the `.tflite` files.

    Returns:
      The content of `parity.json`.

    Raises:
      UserError: a value out of range, parity that fails, or a folder that cannot be written;
        nothing was published then.
      ValueError: an artefact that is not whole.
    """
    if not audio_seconds > 0:
        raise registry.UserError(
            f"--config.export.audio_seconds={audio_seconds}: give the clip length of the .tflite "
            "in seconds, above 0."
        )
    servable = servable_lib.Servable(recipe)
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
        found = parity.certificate(recipe, inputs, stage, {str(number): "float32", **files})
        found = {
            "version": number,
            "audio_seconds": audio_seconds,
            "min_cosine": min_cosine,
            **found,
        }
        parity.check(found, min_cosine)
        with open(os.path.join(stage, PARITY_FILE), "w", encoding="utf-8") as f:
            f.write(json.dumps(found, indent=2) + "\n")
        _move(stage, directory, [str(number), *files, PARITY_FILE])
    return found


def _move(stage: str, directory: str, names: Sequence[str]) -> None:
    """Moves `names` from `stage` into `directory`, over older ones; on failure puts all back."""
    os.makedirs(directory, exist_ok=True)
    backup = os.path.join(stage, "before")
    os.mkdir(backup)
    for name in names:  # whatever needs room on the disk comes before the first change
        if os.path.isfile(os.path.join(directory, name)):
            shutil.copy2(os.path.join(directory, name), backup)
    moved: list[str] = []
    try:
        for name in names:
            os.replace(os.path.join(stage, name), os.path.join(directory, name))
            moved.append(name)
    except BaseException:
        for name in moved:
            os.replace(os.path.join(directory, name), os.path.join(stage, name))
            if os.path.exists(os.path.join(backup, name)):
                os.replace(os.path.join(backup, name), os.path.join(directory, name))
        raise
