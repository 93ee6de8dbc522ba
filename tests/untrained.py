"""Runs that were never trained, of every recipe, on data that every protocol finds something in."""

import dataclasses
import os
import pathlib

import ml_collections

from tests import small
from tfav import config_file
from tfav.annotations import boxes
from tfav.data import shards
from tfav.experiment import measurement, models
from tfav.training import environment, weights_file

RECIPES = {
    "voice_face": {},
    "mmcosine": {"model": {"head": "cosine", "fusion": "concat"}, "loss": {"scale": 5.0}},
    "dmc": {"model": {"num_clusters": 3, "cluster_size": 4}, "loss": {"negatives": "all"}},
    "infonce": {"model": {}, "loss": {"temperature": 0.2}},
    "l3": {"model": {"hidden_size": 4}, "loss": {"negatives": "all"}},
    "avts": {"model": {"size": 4, "window_seconds": 0.2, "shift_seconds": 0.1}},
    "soundnet": {"model": {"temperature": 1.0}, "loss": {"negatives": "all"}},
    "fop": {"model": {"orthogonality_weight": 1.0}},
    "pins": {"model": {"margin": 0.6}},
    "dimnet": {"model": {"covariates": {"gender": 2}}},
    "cmpc": {"model": {"num_clusters": 2}},
    "self_lifting": {"model": {"num_clusters": 2}},
}


def write_data(directory: str | os.PathLike, num_rows: int = 24) -> str:
    """Writes rows of audio and image with boxes, folds, query lists and a trial list."""
    directory = pathlib.Path(directory)
    rows = []
    for row in small.paired_records(num_rows):
        number = int(row.id.split("/")[1].split(".")[0])
        extra = {**row.extra, "objects": boxes.write([(0.0, 0.0, 0.5, 1.0)])}
        extra |= {"fold": str(1 + number // 3 % 2), "recording": row.id}
        rows.append(dataclasses.replace(row, extra=extra, further={}))
    shards.write(directory, rows, columns=["speaker", "objects", "fold", "recording"])
    folder = directory / "lists"
    folder.mkdir()
    test = [row for row in rows if row.split == "test"]
    names = " ".join(row.id for row in test)
    trials = []
    for direction in ("v2f", "f2v"):
        match, verify = [], []
        for row in test:
            right = next(r for r in test if r.label == row.label)
            wrong = next(r for r in test if r.label != row.label)
            match.append(f"{row.id} {right.id} {wrong.id}")
            verify += [f"{row.id} {right.id}", f"{row.id} {wrong.id}"]
            trials += [f"1 {row.id} {right.id}", f"0 {row.id} {wrong.id}"]
        (folder / f"match_{direction}_2_test.txt").write_text("\n".join(match))
        (folder / f"verify_{direction}_test.txt").write_text("\n".join(verify))
        (folder / f"retrieval_{direction}_test.txt").write_text(f"{names}\n{names}")
    (folder / "speakers.txt").write_text("\n".join(trials))  # as VoxCeleb publishes them
    return str(directory)


def config(directory: str, recipe: str):
    """The smallest config of a recipe on audio and images."""
    c = small.config(directory)
    c.recipe = recipe
    for field, value in RECIPES[recipe].items():
        c[field] = ml_collections.ConfigDict(value)
    c.eval.num_bootstrap = 20
    return c


def run(directory: str, recipe: str) -> models.Trained:
    """A run in memory."""
    c = config(directory, recipe)
    labels = shards.Index.read(directory).labels("train")
    return models.Trained(c, models.model(c, len(labels)), {"step": 7.0}, tuple(labels))


def write(workdir: str | os.PathLike, directory: str, recipe: str, **fields) -> str:
    """A run on disk; `fields` are those of its config that differ, dotted name to value."""
    workdir = os.fspath(workdir)
    c = config(directory, recipe)
    c.update_from_flattened_dict(fields)
    os.makedirs(workdir)
    config_file.save(c, workdir)
    labels = shards.Index.read(directory).labels("train")
    data = measurement.data_sha256(directory)
    environment.record(workdir, environment.facts(step=0, labels=labels, data_sha256=data))
    weights = os.path.join(workdir, weights_file.FILE)
    recipe = models.model(c, len(labels))
    weights_file.save(weights, recipe.named_weights(), write=True, step=7)
    return workdir
