"""Damage to what commands leave for each other: workdirs, data sets, exports."""

import pathlib
import shutil
from collections.abc import Callable

from tests import forked
from tests.hostile import Attempt, damage, place

Outcome = tuple[forked.Done, object]


def _train(its: place.Place, folder: pathlib.Path, flags: list[str]) -> Outcome:
    done = its.command("train", *flags)
    return done, place.arrays(folder / "weights.npz")


def _resume(its, work):
    return _train(its, work / "half", [its.config, f"--workdir={work}/half"])


def _eval(its, work):
    data = work / "data" if (work / "data").exists() else its.data
    run = work / "run" if (work / "run").exists() else its.run
    # To a folder of its own, where the run is the intact one.
    output = [] if run != its.run else [f"--output={work}/figures"]
    done = its.command("eval", f"--workdir={run}", f"--data={data}", *output)
    return done, done.stdout.partition("wrote ")[0]


def _report(its, work):
    data = work / "data" if (work / "data").exists() else its.data
    run = work / "run" if (work / "run").exists() else its.run
    page = work / "page.html"
    done = its.command("report", f"--workdir={run}", f"--data={data}", f"--output={page}")
    if not page.exists():
        return done, None
    text = page.read_text(encoding="utf-8")
    for path, name in ((work / "run", "RUN"), (its.run, "RUN"), (data, "DATA")):
        text = text.replace(str(path), name)
    return done, text


def _export(its, work):
    data = work / "data" if (work / "data").exists() else its.data
    run = work / "run" if (work / "run").exists() else its.run
    flags = (f"--workdir={run}", f"--output={work}/made", f"--data={data}", "--precisions=float32")
    return its.command("export", *flags), place.space(work / "made")


def _embed(model: str) -> Callable:
    def run(its, work):
        output = work / "found.npz"
        flags = (f"--model={work / model}", f"--inputs={its.media}", f"--output={output}")
        return its.command("embed", *flags), place.arrays(output)

    return run


def _load(model: str) -> Callable:
    def run(its, work):
        output = work / "found.npz"
        return its.command("load", work / model, output, its.media), place.arrays(output)

    return run


def _search(its, work):
    run = work / "run" if (work / "run").exists() else its.run
    gallery = work / "gallery"
    index = gallery / "gallery.npz" if gallery.exists() else its.media
    flags = (f"--index={index}", f"--query={its.media}/voice.wav", f"--model={run}", "--json")
    done = its.command("search", *flags)
    return done, done.stdout


def _compare_on(its, work):
    flags = [*its.compare_flags(work / "compared"), f"--eval_data={work}/data"]
    flags = [flag for flag in flags if not flag.startswith("--variants")]
    done = its.command("compare", *flags, "--variants=small", "--protocols=lists")
    return done, "\n".join(line for line in done.stdout.splitlines() if "|" in line)


def _compare(its, work):
    done = its.command("compare", *its.compare_flags(work / "compared"))
    text = done.stdout.replace(str(work), "")
    return done, "\n".join(line for line in text.splitlines() if "|" in line or "%" in line)


def _fresh(its, work):
    config = its.config_file(work / "config.py", work / "data")
    return _train(its, work / "new", [f"--config={config}", f"--workdir={work}/new"])


# Kind to what is copied of the place, and the doors that it is brought to.
KINDS: dict[str, tuple[dict[str, str], dict[str, Callable]]] = {
    "run that goes on": ({"half": "half"}, {"train": _resume}),
    "finished run": (
        {"run": "run"},
        {
            "eval": _eval,
            "report": _report,
            "export": _export,
            "embed": _embed("run"),
            "search": _search,
            "tfav.load": _load("run"),
        },
    ),
    "runs to compare": ({"compared": "folder/compared"}, {"compare": _compare}),
    "data set": (
        {"data": "data"},
        {
            "train": _fresh,
            "eval": _eval,
            "report": _report,
            "export": _export,
            "compare --eval_data": _compare_on,
        },
    ),
    "embeddings": ({"gallery": "gallery"}, {"search": _search}),
    "SavedModel": (
        {"export": "export"},
        {"embed": _embed("export"), "tfav.load": _load("export")},
    ),
    ".tflite": (
        {"export": "export"},
        {
            "embed": _embed("export/audio_float32.tflite"),
            "tfav.load": _load("export/audio_float32.tflite"),
        },
    ),
}
COSTLY = ("export", "compare", "compare --eval_data")  # half as many attempts


def prepare(its: place.Place, work: pathlib.Path, kind: str) -> pathlib.Path:
    """Copies what a kind damages; returns the folder of the attempt."""
    work.mkdir(parents=True)
    for name, source in KINDS[kind][0].items():
        origin = its.folder / "compared" if name == "compared" else getattr(its, source)
        place.copy(origin, work / name)
    return work


def files(work: pathlib.Path, kind: str) -> list[pathlib.Path]:
    """Returns the files that an attempt may damage, in order: those that a door may read."""
    found = sorted(p for p in work.rglob("*") if p.is_file())
    if kind == ".tflite":
        return [p for p in found if p.name in ("audio_float32.tflite", "parity.json")]
    if kind == "SavedModel":
        return [p for p in found if p.name == "parity.json" or "1" in p.relative_to(work).parts]
    unread = ("tensorboard", "plots") + ("checkpoints",) * (kind != "run that goes on")
    return [p for p in found if not set(unread) & set(p.parts) and p.suffix != ".log"]


def usual(its: place.Place, kind: str, door: str) -> tuple[object, set[str]]:
    """Returns what a door makes of the intact, and the warnings it gives then."""
    work = prepare(its, its.folder / "intact" / f"{kind}-{door}".replace(".", ""), kind)
    done, found = KINDS[kind][1][door](its, work)
    if done.code:
        raise RuntimeError(f"{kind} {door}: {done.stderr[-3000:]}")
    return found, place.warnings(done)


def attempt(
    its: place.Place, kind: str, door: str, number: int, seed: int, intact: tuple[object, set[str]]
) -> Attempt:
    """Damages one file and runs the command."""
    draw = place.draw_of(seed, kind, door, number)
    name = f"{kind}-{door}-{number}".replace(".", "")
    work = prepare(its, its.folder / "attempts" / name, kind)
    path = draw.choice(files(work, kind))
    change = draw.choice([d for d in damage.OF_STATE if path.stat().st_size or d is not damage.cut])
    content = path.read_bytes()
    changed = change(content, draw) if content else b"x"
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
    what = f"{path.relative_to(work)}: {change.__name__}"
    done, found = KINDS[kind][1][door](its, work)
    outcome, said = place.compared(done, found, *intact)
    shutil.rmtree(work)
    return Attempt(kind, door, what, outcome, said)
