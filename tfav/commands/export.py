"""Ships a run: published artefacts, and embeddings of files."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from tfav import registry
from tfav.data import shards
from tfav.experiment import models, provenance, samples
from tfav.export import publish
from tfav.export.serving import deployment
from tfav.recipes import outputs
from tfav.recipes import recipe as base


def export(
    workdir: str,
    output: str,
    version: str | None = None,
    min_cosine: float | None = None,
    directory: str = "",
    *,
    precisions: Sequence[str] = ("float32", "float16"),
    durations: Sequence[float] = (),
    dynamic_time: bool = False,
    frontend: str = "",
    min_cosine_int8: float = 0.98,
    keep_versions: int = 0,
    license_text: str = "",
) -> list[str]:
    """Publishes a run's encoders as SavedModel and TFLite with their parity; returns a summary.

    Args:
      workdir: of a finished run.
      output: the model's folder.
      version: integer of the version directory; None: the next.
      min_cosine: parity of float files below it publishes nothing; None: the config's.
      directory: the data parity is measured on; empty: that of the run.
      precisions: rows of `tflite.PRECISIONS`.
      durations: clip lengths in seconds, all in one file; none: the config's.
      dynamic_time: a file that takes clips of any length.
      frontend: form of the `.tflite`'s, `stft` or `conv`; empty: the run's.
      min_cosine_int8: as `min_cosine`, of 8-bit files.
      keep_versions: of the newest version folders; 0: all.
      license_text: of the weights; empty: not stated.
    """
    c, recipe, _, labels = models.trained(workdir)
    index = shards.Index.read(directory or c.data.directory)
    classifies = outputs.classifies(recipe)
    static = "int8_static" in precisions
    found = publish.publish(
        recipe,
        {} if classifies else samples.inputs(c, recipe, index),
        output,
        audio_seconds=c.export.audio_seconds,
        min_cosine=c.export.min_cosine if min_cosine is None else min_cosine,
        min_cosine_int8=min_cosine_int8,
        version=version,
        precisions=precisions,
        durations=durations,
        dynamic_time=dynamic_time,
        on_phone=_in_form(c, recipe, len(labels), frontend),
        calibration=samples.calibration(c, index, classifies) if static else (),
        num_frames={name: its.num_frames for name, its in models.pictures(c).items()},
        classes=labels if classifies else None,
        rows=samples.rows(c, index) if outputs.joint(recipe) else (),
        trials=samples.trials(c, index) if recipe.shares_space and not classifies else None,
        keep_versions=keep_versions,
        about={
            "license": license_text or "not stated",
            "origin": provenance.origin(c, workdir, index),
            "evaluation": provenance.evaluation(workdir),
            "frontend": frontend or "as in training",
        },
    )
    return [
        *_summary(found, output),
        f"wrote {os.path.join(output, publish.PARITY_FILE)}",
        deployment.commands(output),
    ]


def _in_form(
    c: ml_collections.ConfigDict, recipe: base.Recipe, num_classes: int, form: str
) -> base.Recipe | None:
    """Returns the recipe with its front-end in another form; None where it has that already.

    Raises:
      UserError: no encoder of sounds, or a front-end that has no forms.
    """
    if not form:
        return None
    if "audio" not in recipe.encoders:
        raise registry.UserError(
            f"--frontend={form}: the run has no encoder of sounds, leave --frontend out."
        )
    if recipe.encoders["audio"].frontend.form == form:
        return None
    other = c.copy_and_resolve_references()
    with other.unlocked():
        other.audio.frontend.form = form
    made = models.model(other, num_classes)
    weights = recipe.named_weights()
    for name, variable in made.named_weights().items():
        variable.assign(weights[name])
    return made


def _summary(found: Mapping[str, Any], output: str) -> list[str]:
    lines = []
    for name, artefact in found["artefacts"].items():
        speeds = artefact.get("speed", {"milliseconds": {}})["milliseconds"]
        for signature, parity in artefact["parity"].items():
            speed = f"  {speeds[signature]:.2f} ms" if signature in speeds else ""
            lines.append(
                f"{os.path.join(output, name):<48} {signature:<24} cosine >= "
                f"{parity['cosine_min']:.7f}  max error {parity['max_abs_error']:.1e}  "
                f"{artefact['bytes'] / 1000:.0f} kB{speed}"
            )
    return lines
