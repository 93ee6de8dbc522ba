"""Outputs that hold what is not ours: no command writes over it, whatever it is called.

A row of `DOORS` is a command with the flag that names where it writes. `tests/hostile/test_hostile`
holds them against the commands of `bin/`.
"""

import functools
import hashlib
import pathlib
import shutil
from collections.abc import Callable
from typing import NamedTuple

from tests.hostile import RIGHT, SENTENCE, SILENT, Attempt, folders, place
from tests.hostile.words import _people

_MINE = b"years of work\n"
WRITES_NOTHING = ("formats",)


class Door(NamedTuple):
    """A command and the flag by which it writes.

    Attributes:
      command: which.
      flags: of a place and an output, those of a call that would succeed.
      taken: names of files, below the output or behind its name, that it would write over.
      whole: whether it writes into empty folders, or over its own, alone.
      own: of a place and an output, makes what the command itself has written there.
    """

    command: str
    flags: Callable[[place.Place, pathlib.Path], list[str]]
    taken: tuple[str, ...] = ()
    whole: bool = False
    own: Callable[[place.Place, pathlib.Path], object] | None = None


def _manifest(its: place.Place) -> str:
    path = _people(its) / "mine.csv"
    rows = [f"a{k},train,p{k},{k}.wav,{k}.png" for k in range(4)]
    path.write_text("\n".join(["id,split,label,audio,image", *rows]) + "\n")
    return f"--manifest={path}"


def _config(its: place.Place, output: pathlib.Path) -> str:
    path = output.with_name(f"{output.name} config.py")
    return f"--config={place.Place.config_file(path, its.data)}"


def _compare(its, output):
    return [_config(its, output), f"--data={its.data}", "--variants=small", f"--output={output}"]


def _start(its, output):
    people = its.folder / "eight people"
    if not people.exists():
        folders._write(people)
    return [f"--audio={people}/audio", f"--image={people}/image", f"--output={output}"]


def _export(its, output):
    return [f"--workdir={its.run}", f"--output={output}", "--precisions=float32"]


def _embed(its, output):
    model = [f"--model={its.run}", f"--inputs={its.media}"]
    return [*model, f"--output={output}.npz", "--overwrite"]


def _search(its, output):
    gallery = f"{its.gallery}/gallery.npz"
    return [f"--index={gallery}", f"--query={gallery}", f"--page={output}.html"]


def _projected(its, output):
    run = output.with_name(f"{output.name} run")
    if not run.exists():
        place.copy(its.run, run)
    (run / "tensorboard").mkdir(exist_ok=True)
    if not (run / "tensorboard" / "report").exists() and output.exists():
        (run / "tensorboard" / "report").symlink_to(output)
    return [f"--workdir={run}", f"--output={run}/page.html", "--tensorboard"]


def _prepare(*more: str) -> Callable[[place.Place, pathlib.Path], list[str]]:
    return lambda its, output: [_manifest(its), f"--output={output}", "--lists=none", *more]


def _report(flag: str) -> Callable[[place.Place, pathlib.Path], list[str]]:
    def flags(its, output):
        page = [] if flag.startswith("output") else [f"--output={output} page.html"]
        return [f"--workdir={its.run}", *page, f"--{flag.format(output)}"]

    return flags


DOORS = {
    "prepare": Door("prepare", _prepare(), ("dataset.json", "index.csv"), whole=True),
    "prepare --overwrite": Door(
        "prepare",
        _prepare("--overwrite"),
        ("lists/mine.txt", ".git"),
        whole=True,
        own=lambda its, output: place.copy(its.data, output),
    ),
    "prepare --check": Door(
        "prepare", _prepare("--check"), ("-check.html", "-check.json", "-bad_rows.csv")
    ),
    "train": Door(
        "train",
        lambda its, output: [_config(its, output), f"--workdir={output}"],
        ("weights.npz", "metrics.json", "parity.json"),
    ),
    "eval --output": Door(
        "eval",
        lambda its, output: [f"--workdir={its.run}", f"--output={output}"],
        ("metrics.json", "config.json"),
    ),
    "compare": Door("compare", _compare, ("results.json", "table.md")),
    "report --output": Door("report", _report("output={}.html"), (".html",)),
    "report --video": Door("report", _report("video={}.mp4"), (".mp4",)),
    "report --tensorboard": Door("report", _projected, ("items.tsv",), whole=True),
    "export": Door("export", _export, ("golden.json", "audio_float32.tflite", "model_card.md")),
    "embed": Door("embed", _embed, (".npz",)),
    "search --page": Door("search", _search, (".html",)),
    "web": Door(
        "web",
        lambda its, output: ["--export=toy", f"--output={output}"],
        ("index.html",),
        whole=True,
    ),
    "start": Door("start", _start, ("manifest.csv", "report.html"), whole=True),
}


def attempts(its: place.Place, count: int, seed: int) -> list:
    """Returns an attempt each, to be called: those that must end in a sentence, then the others.

    Args:
      its: what is intact; where nothing is trained, those that must end in a sentence alone.
      count: of the others, at most.
      seed: of their order.
    """
    refused, others = [], []
    for name, door in DOORS.items():
        refused += [(name, taken, True) for taken in door.taken]
        if not _is_file(door):
            (refused if door.whole else others).append((name, "thesis.txt", door.whole))
        if not (door.own or _is_file(door)):
            refused.append((name, "", True))
    place.draw_of(seed, "destinations").shuffle(others)
    chosen = [*refused, *(others[:count] if its.trained else ())]
    return [functools.partial(_attempt, its, *one) for one in chosen]


def _is_file(door: Door) -> bool:
    """Says whether a command writes files beside its output's name, and no folder."""
    return not door.own and any(name[0] in "-." for name in door.taken)


def _attempt(its: place.Place, name: str, file: str, refused: bool) -> Attempt:
    door = DOORS[name]
    output = its.folder / "destinations" / f"{name} {file}"
    output.parent.mkdir(exist_ok=True)
    if door.own and file:
        door.own(its, output)
    if not file:  # a file in place of the folder
        target = output
    elif _is_file(door):
        target = output.with_name(output.name + file)
    else:
        output.mkdir(exist_ok=True)
        target = output / file
    if not (door.own and target.exists()):
        target.write_bytes(_MINE)
    flags = door.flags(its, output)
    before = _contents(target if target == output else output) | _contents(target)
    done = its.command(door.command, *flags)
    outcome, said = place.ended(done, last=True)
    after = _contents(target if target == output else output) | _contents(target)
    lost = [path for path, digest in before.items() if after.get(path) != digest]
    if outcome is None:
        outcome, said = (SILENT, "taken") if refused else (RIGHT, "")
    if outcome == SENTENCE and refused and after != before:
        outcome, said = SILENT, f"a refusal that changes {sorted(set(after) ^ set(before))}"
    if lost:
        outcome, said = SILENT, f"{said} writes over {lost}"
    shutil.rmtree(output, ignore_errors=True)
    return Attempt("output that holds another's", name, file or "a file", outcome, said)


def _contents(path: pathlib.Path) -> dict[str, str]:
    """Returns the files at a path with their hashes."""
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    return {
        str(one): hashlib.sha256(one.read_bytes()).hexdigest() for one in found if one.is_file()
    }
