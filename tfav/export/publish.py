"""From a trained recipe to published artefacts: all of them, proven, or none."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfav import files, registry, states, tensors
from tfav.evaluation import decisions
from tfav.export import servable as servable_lib
from tfav.export.lite import tflite
from tfav.export.options import ExportOptions, Inputs
from tfav.export.parity import certificate, gates, golden, reference, tolerances
from tfav.export.serving import deployment, fresh_process, saved_model
from tfav.inference import artefacts as artefacts_lib
from tfav.recipes import recipe as base

LABELS_FILE = "labels.txt"
GOLDEN_FILE = "golden.json"
DRIFT_FILE = "drift.csv"


def publish(
    recipe: base.Recipe,
    inputs: Inputs,
    directory: str,
    options: ExportOptions,
    describe: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda found: {},
) -> dict[str, Any]:
    """Exports a recipe, compares the artefacts with the recipe, then publishes them.

    `directory` gets `<version>/` and configuration files (for TensorFlow Serving),
    the `.tflite` files of `tflite.write`, of a recipe that classifies `labels.txt`, `golden.json`,
    `drift.csv` (items that an artefact turned, worst first; a header alone: none), what `describe`
    makes, and, last of all, `parity.json`, which tells what belongs together. All but the first
    stand in place of those of an earlier version, which go.

    Args:
      recipe: built, float32, with the weights to export.
      inputs: what to measure and calibrate on.
      directory: the export's folder.
      options: what is asked for.
      describe: returns further text files of an export, name to text, such as a card, of the
        content of `parity.json` but for the hashes of such files.

    Returns:
      The content of `parity.json`.

    Raises:
      UserError: a value out of range, parity that fails, or a folder that cannot be written;
        nothing was published then.
      ValueError: an artefact that is not whole, or classes that are not the recipe's.
    """
    options.check(recipe.hearing)
    stated = options.num_frames, options.classes, options.threshold, options.decided
    servable = servable_lib.Servable(recipe, *stated)
    items = _checked(servable, inputs)
    number = saved_model.choose_version(directory, options.version)
    with saved_model.staging(directory) as stage:
        fresh_process.start()  # imports TensorFlow beside what comes until it is asked
        model = os.path.join(stage, str(number))
        saved_model.save(servable, model, servable.signatures())
        name = os.path.basename(os.path.abspath(directory))
        deployment.finish(servable, model, name)
        on_phone = servable
        if options.on_phone:
            on_phone = servable_lib.Servable(options.on_phone, *stated)
        lite = tflite.write(
            on_phone,
            stage,
            audio_samples=max(1, round(options.audio_seconds * tensors.SAMPLE_RATE_HZ)),
            precisions=tuple(options.precisions),
            durations=options.durations,
            dynamic_time=options.dynamic_time,
            calibration=inputs.calibration,
        )
        made = {str(number): "float32", **lite}
        found = {
            "version": number,
            "audio_seconds": options.audio_seconds,
            "min_cosine": options.min_cosine,
            "min_cosine_int8": options.min_cosine_int8,
            "classes": list(servable.classes),
            "threshold": servable.threshold,
            **decisions.stored(options.decided),
            **options.about,
            **certificate.certificate(recipe, items, stage, made, inputs.rows, inputs.trials),
        }
        gates.check(found, options)
        vectors = golden.vectors(recipe, options.num_frames)
        vectors["tolerance"] = tolerances.measure(vectors, stage, lite)
        texts = {
            **deployment.config_files(name),
            GOLDEN_FILE: json.dumps(vectors | golden.decided(options.decided)) + "\n",
            DRIFT_FILE: certificate.drift_csv(found),
            **describe(found),
        }
        if servable.classifies:
            texts[LABELS_FILE] = "".join(f"{name}\n" for name in servable.classes)
        found["side_files"] = {
            file: hashlib.sha256(text.encode()).hexdigest() for file, text in texts.items()
        }
        texts[artefacts_lib.PARITY_FILE] = json.dumps(states.sealed(found), indent=2) + "\n"
        for file, text in texts.items():
            with open(os.path.join(stage, file), "w", encoding="utf-8") as f:
                f.write(text)
        names = [str(number), *lite, *texts]
        os.makedirs(directory, exist_ok=True)
        _move(stage, directory, names, _stale(directory, names))
    deployment.prune(directory, options.keep_versions)
    return found


def _checked(servable: servable_lib.Servable, inputs: Inputs) -> reference.Items:
    """Returns the items of every modality, once they and the classes are known to be whole."""
    for name in servable.classes:
        if name.splitlines() != [name]:
            raise registry.UserError(
                f"the class {name!r} is not one line, as {LABELS_FILE} has them: correct it."
            )
    if servable.joint and not inputs.rows:
        known = {"classify": "classes", "localize": "maps"}
        what = known.get(servable.default, "scores")
        raise registry.UserError(
            f"no row with {' and '.join(servable.modalities)} to compare the export's {what} on: "
            "give a data set that holds some."
        )
    by_rows = {m: [(name, row[m]) for name, row in inputs.rows] for m in servable.modalities}
    items = {**by_rows, **inputs.items}
    for modality in servable.modalities:
        if not items.get(modality):
            raise registry.UserError(
                f"no {modality} to compare the export on: give a data set that holds some."
            )
        for name, item in items[modality]:
            if not item.size or not np.isfinite(item).all():
                raise registry.UserError(
                    f"{name} is empty or holds NaN samples, and parity needs real {modality}: "
                    "prepare the data again."
                )
    return items


def _stale(directory: str, names: Sequence[str]) -> list[str]:
    """Returns the files of earlier exports to `directory`, as they wrote them, that `names` lacks.

    Those of the last one, which `parity.json` tells, and of one that was killed while it moved its
    files in, which has left its journal.
    """
    written: dict[str, set[str]] = {}
    for name, sha256 in [*_published(directory), *_journal(directory)]:
        written.setdefault(name, set()).add(sha256)
    return [
        name
        for name, known in written.items()
        if name not in names
        and os.path.isfile(os.path.join(directory, name))
        and files.sha256(os.path.join(directory, name)) in known
    ]


def _published(directory: str) -> list[tuple[str, str]]:
    """Returns (name, SHA-256) of the files beside the versions of the last export."""
    try:
        parity = artefacts_lib.read_parity(directory)
    except registry.UserError:  # damaged, or not ours: this export replaces it
        return []
    if parity is None:
        return []
    found = [(n, s) for a in parity.content["artefacts"] for n, s in parity.files(a).items()]
    if parity.content.get("classes"):
        text = "".join(f"{name}\n" for name in parity.content["classes"])
        found.append((LABELS_FILE, hashlib.sha256(text.encode()).hexdigest()))
    return [(name, sha256) for name, sha256 in found if _replaceable(name)]


def _journal(directory: str) -> list[tuple[str, str]]:
    """Returns (name, SHA-256) of the files that an export was moving in when it was killed."""
    try:
        with open(os.path.join(directory, artefacts_lib.JOURNAL_FILE), encoding="utf-8") as f:
            found = json.load(f).items()
            return [(n, s) for n, s in found if _replaceable(n) and isinstance(s, str)]
    except (OSError, ValueError, AttributeError):  # none, or cut short before the first move
        return []


def _replaceable(name: str) -> bool:
    return os.path.basename(name) == name and (name.endswith(".tflite") or name == LABELS_FILE)


def _move(stage: str, directory: str, names: Sequence[str], stale: Sequence[str]) -> None:
    """Moves `names` from `stage` into `directory`, over older ones, and the `stale` away.

    On failure puts all back. Killed, it leaves a journal of what it was moving: every file is whole
    and an old or a new one, a reader sees by `parity.json`, the last to move, that they do not
    belong together, and the next export writes all of them anew.
    """
    backup = os.path.join(stage, "before")
    os.mkdir(backup)
    for name in names:  # whatever needs room on the disk comes before the first change
        if os.path.isfile(os.path.join(directory, name)):
            shutil.copy2(os.path.join(directory, name), backup)
    paths = {name: os.path.join(stage, name) for name in names}
    hashes = {name: files.sha256(path) for name, path in paths.items() if os.path.isfile(path)}
    journal = os.path.join(directory, artefacts_lib.JOURNAL_FILE)
    before = dict(_journal(directory))
    files.write_json(journal, before | hashes)
    *first, last = names
    moved: list[str] = []
    gone: list[str] = []

    def move(name: str) -> None:
        os.replace(os.path.join(stage, name), os.path.join(directory, name))
        moved.append(name)

    try:
        for name in first:
            move(name)
        for name in stale:
            os.replace(os.path.join(directory, name), os.path.join(backup, name))
            gone.append(name)
        move(last)
    except BaseException:
        for name in gone:
            os.replace(os.path.join(backup, name), os.path.join(directory, name))
        for name in moved:
            os.replace(os.path.join(directory, name), os.path.join(stage, name))
            if os.path.exists(os.path.join(backup, name)):
                os.replace(os.path.join(backup, name), os.path.join(directory, name))
        if before:
            files.write_json(journal, before)
        else:
            os.remove(journal)
        raise
    os.remove(journal)
