"""Where weights come from and what is known of them: what an export says of its run."""

import json
import os
from typing import Any

import ml_collections

from tfav import files, registry
from tfav.data import shards
from tfav.experiment import models
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
    encoders = {name: its.encoder for name, its in models.pictures(c).items()}
    if "audio" in c.modalities:
        encoders["audio"] = c.audio.encoder
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
    """Returns the thresholds and the calibration in a run's `metrics.json`; None without one.

    Raises:
      UserError: the file is damaged.
    """
    path = os.path.join(workdir, "metrics.json")
    try:
        with open(path, encoding="utf-8") as f:
            document = json.load(f)
        figures = [
            {key: figure[key] for key in _KEPT if figure.get(key) is not None}
            for figure in document["results"]
            if "threshold" in figure or figure["metric"] in _CALIBRATION
        ]
        return {"weights": document["about"].get("weights"), "figures": figures}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise registry.UserError(
            f"{path} is damaged ({error}): make it again with tfav-eval --workdir={workdir}."
        ) from error


def _sha256(path: str) -> str | None:
    """Returns the hash of a file of weights; None of a folder, or of what is gone by now."""
    return files.sha256(path) if os.path.isfile(path) else None
