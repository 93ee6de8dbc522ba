"""Where weights come from and what is known of them: what an export says of its run."""

import os
from typing import Any

import ml_collections

from tfav import files
from tfav.data import shards
from tfav.experiment import evaluations, models
from tfav.training import environment

# Of an evaluation, beside what has a threshold: how far its probabilities can be believed.
_CALIBRATION = ("ece", "nll")
_KEPT = ("protocol", "stratum", "direction", "n", "tag", "metric", "value", "threshold", "list")


def origin(c: ml_collections.ConfigDict, workdir: str, index: shards.Index) -> dict[str, Any]:
    """Returns the recipe, encoders, run, data and initial weights of a run.

    Args:
      c: its config.
      workdir: its folder.
      index: of the data that the export was measured on.
    """
    last = environment.starts(workdir)[-1]
    encoders = {name: section.its.encoder for name, section in models.sections(c).items()}
    files = {f"init.{name}": path for name, path in c.init.items() if path}
    if c.train.init_from:
        files["train.init_from"] = c.train.init_from
    return {
        "recipe": c.recipe,
        "encoders": encoders,
        "config": os.path.join(workdir, "config.json"),
        "command": last.get("command"),
        "revision": last.get("revision"),
        "data": {
            "directory": c.data.directory,
            "sha256": last.get("data_sha256"),
            "measured_on": index.directory,
            "source": index.info["source"],
        },
        "init": {name: {"file": path, "sha256": _sha256(path)} for name, path in files.items()},
    }


def evaluation(workdir: str) -> dict[str, Any] | None:
    """Returns the thresholds and the calibration of a run's own figures; None without such.

    Raises:
      UserError: they are damaged, or of other data, lists, settings or weights than the run's.
    """
    found = evaluations.own(workdir)
    if found is None:
        return None
    kept = [r for r in found.results if r.threshold is not None or r.metric.key in _CALIBRATION]
    entries = [result.to_json() for result in kept]
    figures = [{k: e[k] for k in _KEPT if e.get(k) is not None} for e in entries]
    return {"weights": found.about.get("weights"), "figures": figures}


def _sha256(path: str) -> str | None:
    """Returns the hash of a file of weights; None of a folder, or of what is gone by now."""
    return files.sha256(path) if os.path.isfile(path) else None
