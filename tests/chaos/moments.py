"""Which moments a command has, what it leaves, and how what is left is told from what should be."""

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

RECIPES = ("voice_face", "reweighted", "mmcosine", "blended", "dmc")

# Of a training: name to what the victim counts; with a delay, it dies up to twice so long after it.
TRAINING: dict[str, dict[str, Any]] = {
    "step": {"call": "tfav.training.trainer:Trainer.run", "delay": 0.02},
    "saving": {"call": "tfav.training.checkpoints:Checkpoints.save", "delay": 0.02},
    "checkpoint": {"files": r"/checkpoints/"},
    "validation": {"call": "tfav.experiment.inputs:evaluation_batches"},
    "best weights": {"files": r"weights\.npz"},
}
# Of the other commands: every file that is given its name or taken away, wherever it lies.
OTHERS = ("report", "search", "export", "prepare", "embed", "compare")
_FILES = {"files": {"files": r"."}}
# The processes that it starts are killed too.
_MOMENTS = {"compare": {"files": {"files": r".", "delay": 6.0}}}
_LEFT = re.compile(r"\.tmp$|_temp$|\.partial-|\.decoded$|-old$|\.worker-")


class Case(NamedTuple):
    """A command and what it makes.

    Attributes:
      binary: of `bin/`.
      flags: makes its flags of the folder that it writes to.
      look: returns what is in that folder, by name.
      moments: what the victim counts, by name.
    """

    binary: str
    flags: Callable[[pathlib.Path], list[str]]
    look: Callable[[pathlib.Path], Mapping[str, Any]]
    moments: Mapping[str, Mapping[str, Any]]


def training(recipe: str, data: pathlib.Path) -> Case:
    """Returns the case of a training."""
    config = pathlib.Path(__file__).with_name("experiments.py")

    def flags(folder: pathlib.Path) -> list[str]:
        return [f"--config={config}:{recipe},{data}", f"--workdir={folder}/run"]

    return Case("train", flags, run_state, TRAINING)


def other(command: str, place: pathlib.Path) -> Case:
    """Returns the case of another command, on what `place` holds: a run, data, media."""
    run, data, media = place / "run", place / "people", place / "media"
    made: dict[str, Callable[[pathlib.Path], list[str]]] = {
        "report": lambda x: [f"--workdir={run}", f"--output={x}/page.html"],
        "search": lambda x: [
            f"--model={run}",
            f"--index={media}",
            f"--query={media}",
            f"--page={x}/page.html",
        ],
        "export": lambda x: [f"--workdir={run}", f"--output={x}/export", "--precisions=float32"],
        "prepare": lambda x: [
            f"--manifest={place}/manifest.csv",
            f"--output={x}/data",
            f"--decoded={x}/decoded",
            "--lists=none",
            "--overwrite",
        ],
        "embed": lambda x: [
            f"--model={run}",
            f"--inputs={media}",
            f"--output={x}/x.npz",
            "--overwrite",
        ],
        "compare": lambda x: [
            f"--config={place}/compared.py",
            "--variants=one,two",
            "--seeds=0",
            f"--data={data}",
            f"--output={x}/compared",
        ],
    }
    return Case(command, made[command], _LOOKS[command], _MOMENTS.get(command, _FILES))


def leftovers(folder: pathlib.Path) -> list[str]:
    """Returns what a killed command has left that no command should."""
    return [str(p.relative_to(folder)) for p in folder.rglob("*") if _LEFT.search(p.name)]


def differences(found: Mapping[str, Any], right: Mapping[str, Any]) -> str:
    """Returns in what two states differ; empty: in nothing."""
    for name in sorted(found.keys() ^ right.keys()):
        return f"{name} is in {'the end' if name in found else 'the undisturbed end'} alone"
    for name, value in right.items():
        same = (
            np.array_equal(found[name], value, equal_nan=value.dtype.kind == "f")
            if isinstance(value, np.ndarray)
            else found[name] == value
        )
        if not same:
            return f"{name} differs"
    return ""


def run_state(folder: pathlib.Path) -> dict[str, Any]:
    """Returns all that a training left: of each phase checkpoints, weights, log, config."""
    state: dict[str, Any] = {}
    for run in (folder / "run", folder / "run" / "first_phase"):
        if not run.exists():
            continue
        where = str(run.relative_to(folder))
        names = [n for n in os.listdir(run / "checkpoints") if n.endswith(".index")]
        state[f"{where}: checkpoints"] = sorted(names)
        reader = tf.train.load_checkpoint(str(run / "checkpoints"))
        for name in reader.get_variable_to_shape_map():
            if not name.startswith(("_CHECKPOINTABLE", "save_counter")):
                state[f"{where}: {name}"] = np.asarray(reader.get_tensor(name))
        state |= {f"{where}: weights {n}": x for n, x in arrays(run / "weights.npz").items()}
        state[f"{where}: log"] = (run / "scalars.jsonl").read_text()
    return state


def last_step(folder: pathlib.Path) -> int:
    """Returns the step that the log of a run under way has come to, phases added."""
    total = 0
    for run in (folder / "run", folder / "run" / "first_phase"):
        path = run / "scalars.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        total += json.loads(lines[-1])["step"] if lines else 0
    return total


def saved_step(folder: pathlib.Path) -> int:
    """Returns the step of the newest checkpoint, phases added."""
    total = 0
    for run in (folder / "run", folder / "run" / "first_phase"):
        names = os.listdir(run / "checkpoints") if (run / "checkpoints").exists() else []
        steps = [int(m[1]) for n in names if (m := re.fullmatch(r"ckpt-(\d+)\.index", n))]
        total += max(steps, default=0)
    return total


def arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns what an `.npz` holds."""
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _bytes(folder: pathlib.Path, form: str) -> dict[str, str]:
    found = sorted(p for p in folder.rglob("*") if p.is_file() and re.search(form, p.name))
    return {
        str(p.relative_to(folder)): hashlib.sha256(
            p.read_bytes().replace(str(folder).encode(), b"FOLDER")
        ).hexdigest()
        for p in found
    }


def _export(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the bytes of `.tflite` files and golden answers, and the newest version's facts.

    They hold the hashes of its files; that of TensorFlow's fingerprint, which holds a random
    number, and their own seal differ from export to export.
    """
    made = folder / "export"
    path = sorted(made.glob("*/assets.extra/tfav.json"))[-1]
    facts = json.loads(path.read_text())
    del facts["files"]["fingerprint.pb"], facts["sha256"]
    return {**_bytes(made, r"\.tflite$|golden\.json"), "facts": facts}


def _compared(folder: pathlib.Path) -> dict[str, Any]:
    out = folder / "compared"
    weights = {
        f"{path.relative_to(out)}: {name}": array
        for path in sorted(out.rglob("weights.npz"))
        for name, array in arrays(path).items()
    }
    return {"table": (out / "table.md").read_text(), **weights}


_LOOKS: dict[str, Callable[[pathlib.Path], Mapping[str, Any]]] = {
    "report": lambda x: _bytes(x, r"\.html$"),
    "search": lambda x: _bytes(x, r"\.html$"),
    "export": _export,
    "prepare": lambda x: _bytes(x / "data", r"."),
    "embed": lambda x: arrays(x / "x.npz"),
    "compare": _compared,
}
