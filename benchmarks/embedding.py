"""Files embedded together against one after the other, by each door; and files prepared per core.

All files are of the demo's size, which is where a file's own cost shows most.
"""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
import soundfile

from benchmarks import exported, loader, timing
from tfav.inference import embedders, model, recipe_embedder

FILES = 128
ONE = "one at a time"


def rows() -> list[timing.Row]:
    """Returns a row per door and modality, and one of prepare."""
    size = loader.SIZES["demo"]
    found = []
    with tempfile.TemporaryDirectory() as folder, loader.Sides(folder, size) as sides:
        for name, door in _doors(folder).items():
            for modality in door.modalities:
                found.append(_row(name, door, modality, _paths(folder, modality)))
        cores = len(os.sched_getaffinity(0))
        times = sides.times({"ours": (prepare, cores), "one core": (prepare, 1)})
    count = 2 * FILES * loader.BATCHES
    row = timing.row_of(f"prepare: {count:,} files, {cores} cores", "demo", times.passing)
    notes = f"linear: {1 / cores:.2f}; {count / row.ours_ms * 1e3:,.0f} files per second"
    return [*found, dataclasses.replace(row, notes=notes)]


def scales() -> list[timing.Scale]:
    """Returns how time grows with the length of clips, which a run hears whole."""
    with tempfile.TemporaryDirectory() as folder:
        loader.write(folder, loader.SIZES["demo"])
        recipe = exported.write(os.path.join(folder, "export"), folder)
        recipe.hearing = dataclasses.replace(recipe.hearing, max_seconds=1e3)
        door = model.Model(recipe_embedder.RecipeEmbedder(recipe))
        calls = {}
        for seconds in (8, 25, 80, 250, 800):
            path = os.path.join(folder, f"long{seconds}.wav")
            noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000 * seconds)
            soundfile.write(path, noise, 16_000, subtype="PCM_16")
            calls[seconds] = lambda path=path: door.embed([path])
        return [timing.scale("embedding of a clip by a run", "seconds", calls, 1.0)]


def _doors(folder: str) -> dict[str, model.Model]:
    export = os.path.join(folder, "export")
    recipe = exported.write(export, folder)
    lite = {
        f".tflite, {m}": embedders.load(os.path.join(export, f"{m}_float32.tflite"))
        for m in ("audio", "image")
    }
    doors = {
        "run": recipe_embedder.RecipeEmbedder(recipe),
        "SavedModel": embedders.load(export),
        **lite,
    }
    return {name: model.Model(door) for name, door in doors.items()}


def _paths(folder: str, modality: str) -> list[str]:
    suffix = {"audio": "wav", "image": "jpg"}[modality]
    return [str(path) for path in sorted(pathlib.Path(folder).glob(f"*.{suffix}"))][:FILES]


def _row(name: str, door: model.Model, modality: str, paths: list[str]) -> timing.Row:
    row = timing.row(
        f"embed {len(paths)} files, {name}",
        modality,
        lambda: door.embed(paths),
        {ONE: lambda: [door.embed(path) for path in paths]},
        {ONE: 0.33},
    )
    rate = len(paths) / row.ours_ms * 1e3
    if modality == "image":
        return dataclasses.replace(row, notes=f"{rate:,.0f} images per second")
    seconds = soundfile.info(paths[0]).duration
    return dataclasses.replace(row, notes=f"{rate * seconds:,.0f} seconds of audio per second")


def prepare(folder: str, size: loader.Size) -> Callable[[], object]:
    """Returns what decodes the files of a folder as `tfav-prepare` does."""
    from tfav.data.prepare import manifest, records

    del size
    planned = []
    for modality in ("audio", "image"):
        for number, path in enumerate(_paths(folder, modality)):
            planned.append(manifest.Row(f"{modality}{number}", "train", "0", **{modality: path}))
    return lambda: list(records.make_all(planned, records.Options()))
