"""One command from two folders: manifest, data set, training, figures, page."""

import csv
import functools
import io
import json
import os
import pathlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any

from tfav import files, registry
from tfav.commands import child
from tfav.data.prepare import two_folders

_CONFIG = "configs/voice_face.py:demo"
_MOST_AT_ONCE = 64  # identities of a step
_PAGE = "report.html"


def start(
    audio: str,
    image: str,
    output: str,
    *,
    steps: int = 0,
    seed: int = 0,
    said: IO[str] | None = None,
    quiet: bool = False,
) -> Iterator[str]:
    """Goes all the way from two folders to a page; yields lines that say what was done.

    Every step is a command of its own, which is printed, so that the next time any of them can be
    run with other flags. The same call goes on where it was stopped.

    Args:
      audio: Folder with a folder of voices per person.
      image: Folder with a folder of faces per person, by the same names.
      output: Folder of all results: `manifest.csv`, `data`, `run`, `report.html`.
      steps: Number of training steps; 0: those of the config.
      seed: Random seed of the splits, the lists and the training.
      said: where the commands print what they found; None: where this process prints.
      quiet: whether they print results, warnings and errors alone.

    Raises:
      UserError: a folder that is wrong, an output that holds something else, or a step that failed.
      SystemExit: SIGTERM came and the step has ended; a training has saved.
      KeyboardInterrupt: Ctrl-C likewise.
    """
    roots = {"audio": audio, "image": image}
    found = two_folders.find(roots, seed)
    text = two_folders.manifest(found, roots)
    manifest = os.path.join(output, "manifest.csv")
    _check_output(output, manifest, text)
    for modality, people in found.alone.items():
        if people:
            shown = ", ".join(people[:3])
            yield f"left out {len(people)} people with {modality} alone (first: {shown})"
    counts = {split: found.count(split) for split in ("train", "val", "test")}
    told = ", ".join(f"{count} {split}" for split, count in counts.items())
    yield f"people: {len(found.files)} with voices and faces: {told}"
    os.makedirs(output, exist_ok=True)
    files.write_text(manifest, text)
    call = functools.partial(_call, said, ["--quiet"] if quiet else [])
    data, run, page = (os.path.join(output, name) for name in ("data", "run", _PAGE))
    if not os.path.exists(os.path.join(data, "dataset.json")):
        flags = ["--source=manifest", f"--manifest={manifest}", f"--output={data}"]
        yield from call("prepare", [*flags, f"--seed={seed}", "--max_bad_fraction=0.1"])
    flags = [f"--config={_CONFIG}", f"--workdir={run}", f"--config.data.directory={data}"]
    usable = _usable(data)
    num_trained = sum(split == "train" for split in usable.values())
    flags.append(f"--config.train.batch_size={min(_MOST_AT_ONCE, num_trained)}")
    flags.append(f"--config.seed={seed}")
    flags += [f"--config.train.num_steps={steps}"] if steps else []
    yield from call("train", flags)
    yield from call("eval", [f"--workdir={run}"])
    yield from call("report", [f"--workdir={run}", f"--output={page}"])
    listed = dict.fromkeys(row["label"] for row in csv.DictReader(io.StringIO(text)))
    lost = [person for person in listed if person not in usable]
    if lost:
        bad = os.path.join(data, "bad_rows.csv")
        yield f"left out for lack of a usable voice or face, see {bad}: {', '.join(lost)}"
    yield f"open {address(output)} in a browser"


def address(output: str) -> str:
    """Returns the address of the page that `start` makes in a folder, for a browser."""
    return pathlib.Path(output, _PAGE).resolve().as_uri()


def record(output: str) -> dict[str, Any]:
    """Returns what `start` made in a folder, for JSON: paths, and the figures of the run."""
    names = {"manifest": "manifest.csv", "data": "data", "run": "run", "page": _PAGE}
    paths = {name: os.path.join(output, file) for name, file in names.items()}
    with open(os.path.join(paths["run"], "metrics.json"), encoding="utf-8") as file:
        return {**paths, "figures": json.load(file)}


def _usable(data: str) -> dict[str, str]:
    """Returns the people with a good file of both modalities in a data set, to their split."""
    columns = {"audio": "num_samples", "image": "num_frames"}
    people: dict[str, dict[str, str]] = {modality: {} for modality in columns}
    with open(os.path.join(data, "index.csv"), encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for modality, column in columns.items():
                if int(row[column]):
                    people[modality][row["label"]] = row["split"]
    return {person: split for person, split in people["audio"].items() if person in people["image"]}


def _check_output(output: str, manifest: str, text: str) -> None:
    """Refuses a folder that holds something else than an earlier call of the same folders made."""
    if not os.path.isdir(output) or not os.listdir(output):
        return
    if not os.path.isfile(manifest):
        raise registry.UserError(
            f"--output={output} holds other things: name a new folder, or an empty one."
        )
    with open(manifest, encoding="utf-8", newline="") as file:
        if file.read() != text:
            raise registry.UserError(
                f"--output={output} was made from other folders, files or another --seed: name a "
                "new folder."
            )


def _call(
    said: IO[str] | None, more: Sequence[str], binary: str, flags: Sequence[str]
) -> Iterator[str]:
    """Runs a command, after a line that says which.

    Args:
      said: where it prints; None: where this process prints.
      more: further flags, which change no result.
      binary: of which.
      flags: of it.

    Raises:
      UserError: it failed; what it printed says why.
      SystemExit, KeyboardInterrupt: it, or this process, was told to stop.
    """
    yield f"\n$ tfav-{binary} {shlex.join(flags)}"
    command = [sys.executable, "-m", f"tfav.bin.{binary}", *flags, *more]
    code = child.run(command, stdout=said)
    if code:
        raise registry.UserError(
            f"tfav-{binary} ended with code {code}, see above: correct that, and run the same "
            "command again, which goes on from there."
        )
