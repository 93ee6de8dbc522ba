"""Exports a run: published artefacts."""

import functools
import os
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from tfav import registry
from tfav.commands import destinations, model_card
from tfav.commands.protocols import by_pairs
from tfav.data import shards
from tfav.evaluation import correspondence, decisions, metrics
from tfav.experiment import measured_decisions, models, provenance, samples
from tfav.export import publish
from tfav.export.lite import precisions as precisions_lib
from tfav.export.options import ExportOptions, Inputs
from tfav.export.serving import deployment
from tfav.inference import artefacts, spaces
from tfav.recipes import outputs
from tfav.recipes import recipe as base

_MAX_PAIRS = 500  # that a threshold is measured on, spread evenly


def export(
    workdir: str,
    output: str,
    directory: str = "",
    *,
    frontend: str = "",
    license_text: str = "",
    power_watts: float = 0.0,
    **wanted: Any,
) -> list[str]:
    """Publishes a run's encoders as SavedModel and TFLite with their parity; returns a summary.

    Args:
      workdir: Folder of a finished run.
      output: the model's folder.
      directory: the data parity is measured on; empty: that of the run.
      frontend: form of the `.tflite`'s, `stft` or `conv`; empty: the run's.
      license_text: License of the weights; empty: not stated.
      power_watts: power that the machine drew while it trained, for the card; 0: not stated.
      **wanted: fields of `ExportOptions`; clip length and gate are by default those of the config.
    """
    destinations.check_folder("output", output, "export")
    c, recipe, _, labels = models.trained(workdir)
    index = shards.Index.read(directory or c.data.directory)
    spaces.require_inputs(index.directory, index.vector_spaces, recipe.vector_spaces)
    classifies, joint = outputs.classifies(recipe), outputs.joint(recipe)
    known = measured_decisions.find(workdir, c)
    decided = decisions.read(known, outputs.embedding_space(recipe)) if known else None
    options = ExportOptions(
        **{"audio_seconds": c.export.audio_seconds, "min_cosine": c.export.min_cosine, **wanted},
        on_phone=_in_form(c, recipe, len(labels), frontend),
        num_frames={name: spec.num_frames for name, spec in models.items(c).items() if spec.fitted},
        classes=labels if classifies else (),
        threshold=_threshold(c, recipe, index, decided),
        decided=decided,
        about={
            "license": license_text or "not stated",
            "origin": provenance.origin(c, workdir, index),
            "evaluation": provenance.evaluation(workdir),
            "frontend": frontend or "as in training",
        },
    )
    options.check(recipe.hearing)  # before any data is read
    inputs = Inputs(
        {} if classifies else samples.items(c, recipe, index),
        rows=samples.rows(c, index) if joint else (),
        trials=samples.trials(c, index) if outputs.shares_space(recipe) else None,
        calibration=samples.calibration(c, recipe, index)
        if any(precisions_lib.find(name).calibrated for name in options.precisions)
        else (),
    )
    describe = functools.partial(
        model_card.texts, c=c, workdir=workdir, index=index, power_watts=power_watts
    )
    found = publish.publish(recipe, inputs, output, options, describe)
    return [
        *_summary(found, output),
        *(f"wrote {os.path.join(output, name)}" for name in model_card.FILES),
        f"wrote {os.path.join(output, artefacts.PARITY_FILE)}",
        deployment.commands(output),
    ]


def _threshold(
    c: ml_collections.ConfigDict,
    recipe: base.Recipe,
    index: shards.Index,
    decided: decisions.Decisions | None,
) -> float | None:
    """Returns the score from which an export takes a pair for matched; None where it takes none.

    What the recipe was taught; else what its evaluation has measured; else the score at which as
    large a share of matched pairs of `val` (or else of the training split) is refused as of
    mismatched ones is accepted.
    """
    if not outputs.scores_pairs(recipe) or outputs.decision(recipe) is not None:
        return outputs.decision(recipe)
    if decided and decided.threshold is not None:
        return decided.threshold
    for split in ("val", c.data.train_split):
        if split in index.info["splits"]:
            part = index.select(split)
            rows = np.flatnonzero(np.all([part.held(m) for m in c.modalities], axis=0))
            if len(rows) > 1:
                some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MAX_PAIRS)).astype(int)]
                score = by_pairs.Scorer(c, recipe).score(part.take(some))
                matched, mismatched = correspondence.draw(score, None, seed=0)
                every = np.concatenate([matched, mismatched.ravel()])
                return metrics.equal_error(every, np.arange(len(every)) < len(matched))[1]
    return None


def _in_form(
    c: ml_collections.ConfigDict, recipe: base.Recipe, num_classes: int, form: str
) -> base.Recipe | None:
    """Returns the recipe with its front-end in another form; None where it has that already.

    Raises:
      UserError: no encoder of audio, or a front-end that has no forms.
    """
    if not form:
        return None
    frontends = [e.frontend for e in recipe.encoders.values() if e.item_spec.clip]
    if not frontends:
        raise registry.UserError(
            f"--frontend={form}: the run has no audio encoder: leave --frontend out."
        )
    if all(frontend.form == form for frontend in frontends):
        return None
    other = c.copy_and_resolve_references()
    with other.unlocked():
        other.audio.frontend.form = form
    made = models.model(other, num_classes)
    made.vector_spaces = recipe.vector_spaces
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
            cosine = ""  # scores have none
            if "cosine_min" in parity:
                cosine = f"cosine >= {parity['cosine_min']:.7f}"
            lines.append(
                f"{os.path.join(output, name):<48} {signature:<24} {cosine:<19}  max error "
                f"{parity['max_abs_error']:.1e}  {artefact['bytes'] / 1000:.0f} kB{speed}"
            )
    return lines
