"""Two folders as people have them, not as `tfav-start` wants them: each ends in a sentence."""

import functools
import pathlib
import shutil

from tests.hostile import SENTENCE, SILENT, Attempt, place
from tests.hostile.media import _image, _sound

_PEOPLE = 8


def _write(folder: pathlib.Path) -> None:
    for modality, suffix, content in (("audio", ".wav", _sound), ("image", ".png", _image)):
        for k in range(_PEOPLE):
            (folder / modality / f"p{k}").mkdir(parents=True)
            (folder / modality / f"p{k}" / f"0{suffix}").write_bytes(content(suffix))


def _gone(folder, draw):
    shutil.rmtree(folder / draw.choice(["audio", "image"]))


def _file(folder, draw):
    its = folder / draw.choice(["audio", "image"])
    shutil.rmtree(its)
    its.write_bytes(b"x")


def _empty(folder, draw):
    _gone(folder, draw)
    for name in ("audio", "image"):
        (folder / name).mkdir(exist_ok=True)


def _loose(folder, draw):
    its = folder / draw.choice(["audio", "image"])
    for k, path in enumerate(sorted(its.rglob("*.*"))):
        path.rename(its / f"{k}{path.suffix}")


def _swapped(folder, draw):
    (folder / "audio").rename(folder / "x")
    (folder / "image").rename(folder / "audio")
    (folder / "x").rename(folder / "image")


def _one_folder(folder, draw):
    shutil.rmtree(folder / "image")
    (folder / "image").symlink_to(folder / "audio")


def _other_names(folder, draw):
    for path in sorted((folder / "image").iterdir()):
        path.rename(path.with_name(f"face_{path.name}"))


def _few(folder, draw):
    for k in draw.sample(range(_PEOPLE), 3):
        shutil.rmtree(folder / "audio" / f"p{k}")


def _no_sound(folder, draw):
    for path in (folder / "audio").rglob("*.wav"):
        path.write_bytes(draw.randbytes(200))


def _text(folder, draw):
    for path in (folder / "image").rglob("*.png"):
        path.rename(path.with_suffix(".txt"))


def _taken(folder, draw):
    (folder / "output").mkdir()
    (folder / "output" / "thesis.txt").write_text("mine")


FOLDERS = {
    "a folder that is not there": _gone,
    "a file in place of a folder": _file,
    "an empty folder": _empty,
    "files without people": _loose,
    "swapped": _swapped,
    "one folder twice": _one_folder,
    "other names in both": _other_names,
    "too few people": _few,
    "voices that are no sound": _no_sound,
    "faces of another suffix": _text,
    "an output of something else": _taken,
}


def attempts(its: place.Place, count: int, seed: int) -> list:
    """Returns an attempt each, to be called: folders in turn, in an order of the seed."""
    names = list(FOLDERS)
    place.draw_of(seed, "folders").shuffle(names)
    return [functools.partial(_attempt, its, name, seed) for name in names[:count]]


def _attempt(its: place.Place, name: str, seed: int) -> Attempt:
    folder = its.folder / "start" / str(list(FOLDERS).index(name))
    _write(folder)
    FOLDERS[name](folder, place.draw_of(seed, name))
    before = sorted(folder.rglob("*"))
    flags = [f"--audio={folder}/audio", f"--image={folder}/image", f"--output={folder}/output"]
    done = its.command("start", *flags, "--steps=1")
    outcome, said = place.ended(done, last=True)
    if outcome is None:
        outcome, said = SILENT, "taken"
    made = [path for path in sorted(folder.rglob("*")) if path not in before]
    kept = {"output", "manifest.csv"}  # the step that refuses comes behind the manifest
    if outcome == SENTENCE and {path.name for path in made} - kept:
        outcome, said = SILENT, f"a refusal that leaves {[str(path) for path in made]}"
    return Attempt("two folders", "start", name, outcome, said)
