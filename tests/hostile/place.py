"""What is damaged: a corpus, a data set, a run half way and one that is done, an export."""

import json
import os
import pathlib
import random
import re
import shutil
import threading

import numpy as np

from tests import forked, small, untrained
from tests.hostile import REFUSAL, RIGHT, SENTENCE, SILENT, TRACEBACK

_CONFIG = """from tests import small


def get_config(variant=""):
    config = small.config({data!r})
    config.train.num_steps = 2
    config.train.steps_per_call = config.train.checkpoint_every = 1
    config.eval.num_bootstrap = 10
    return config
"""
_LOAD = os.path.join(forked.ROOT, "tests", "hostile", "load.py")
_WARNING = re.compile(r"^[WE]\d{4} .*?\] (.*)$|^warning: (.*)$", re.MULTILINE | re.IGNORECASE)


class Place:
    """Everything intact, below a folder; `copy` gives an attempt its own.

    Args:
      folder: an empty one.
      server: runs the commands.
      trained: make runs and an export by the commands; else a data set and an untrained run alone.
    """

    def __init__(self, folder: pathlib.Path, server: forked.Server, trained: bool = True):
        self.folder, self.trained = folder, trained
        self._server = server
        self.media = folder / "media"
        if not trained:
            self.data = pathlib.Path(untrained.write_data(folder / "data"))
            self.run = pathlib.Path(untrained.write(folder / "run", str(self.data), "voice_face"))
            self._embed()
            return
        self.data = pathlib.Path(small.write_dataset(str(folder / "data")))
        self.config = f"--config={self.config_file(folder / 'config.py', self.data)}"
        self.run, self.half = folder / "compared" / "small" / "seed0", folder / "half"
        self.export = folder / "export"
        self.done("compare", *self.compare_flags(folder / "compared"))
        self.done("train", self.config, f"--workdir={self.half}")
        # As a run that was killed behind its first step.
        for path in [*self.half.glob("checkpoints/ckpt-2.*"), self.half / "weights.npz"]:
            path.unlink()
        flags = (f"--workdir={self.run}", f"--output={self.export}", "--precisions=float32")
        self.done("export", *flags)
        self._embed()

    def _embed(self) -> None:
        """Embeds the recording and the image, a gallery to search."""
        self.gallery = self.folder / "gallery"
        self.gallery.mkdir()
        output = self.gallery / "gallery.npz"
        self.done("embed", f"--model={self.run}", f"--inputs={self.media}", f"--output={output}")

    def compare_flags(self, output: os.PathLike, data: os.PathLike | None = None) -> list[str]:
        """Returns the flags of tfav-compare: one variant, one seed."""
        data = f"--data={data or self.data}"
        return [self.config, data, "--variants=small", "--seeds=0", f"--output={output}"]

    @staticmethod
    def config_file(path: pathlib.Path, data: os.PathLike) -> pathlib.Path:
        """Writes the config of two steps on a data set; returns its path."""
        path.write_text(_CONFIG.format(data=str(data)))
        return path

    def command(self, binary: str, *flags: object) -> forked.Done:
        """Runs a command, or `load`, to its end; other threads may run others meanwhile."""
        path = _LOAD if binary == "load" else os.path.join(forked.ROOT, "bin", f"{binary}.py")
        written = self.folder / f"written{threading.get_ident()}"
        outputs = {name: f"{written}.{name}" for name in ("stdout", "stderr")}
        process = self._server.start([path, *flags], **outputs)
        process.wait()
        return process.done()

    def done(self, binary: str, *flags: object) -> forked.Done:
        """Runs a command on what is intact; it must succeed."""
        done = self.command(binary, *flags)
        if done.code:
            raise RuntimeError(f"{binary} {flags}: {done.stderr[-3000:]}")
        return done


def ended(done: forked.Done, last: bool = False) -> tuple[str | None, str]:
    """Returns outcome and sentence of a command that failed; None where it did not.

    Args:
      done: how it ended.
      last: the last of its sentences counts, for a command that runs others, which have their own.
    """
    if done.code == 0:
        return None, ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    errors = errors[-1:] if last else errors
    if done.code == 2 and len(errors) == 1 and "Traceback (most recent" not in done.stderr:
        return SENTENCE, errors[0]
    return TRACEBACK, done.stderr[-2000:]


def compared(done: forked.Done, found: object, right: object, usual: set[str]) -> tuple[str, str]:
    """Returns the outcome of a command, and what it said.

    Args:
      done: how it ended.
      found: what came out of it.
      right: what comes out where nothing is damaged.
      usual: warnings that it gives then too.
    """
    outcome, said = ended(done)
    if outcome:
        return outcome, said
    if same(found, right):
        return RIGHT, ""
    new = warnings(done) - usual
    return (REFUSAL, min(new)) if new else (SILENT, f"{str(found)[:300]} for {str(right)[:300]}")


def warnings(done: forked.Done) -> set[str]:
    """Returns what a command warned of, but for the numbers in it."""
    return {re.sub(r"\d+", "0", a or b) for a, b in _WARNING.findall(done.stderr)}


def same(found: object, right: object) -> bool:
    """Says whether two results are one: text, or arrays by their names."""
    if not isinstance(right, dict):
        return found == right
    return (
        isinstance(found, dict)
        and found.keys() == right.keys()
        and all(_near(found[name], right[name]) for name in right)
    )


def _near(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    return np.array_equal(a, b) if a.dtype.kind not in "f" else np.allclose(a, b, 1e-3, 1e-4)


def arrays(path: pathlib.Path) -> dict[str, np.ndarray] | None:
    """Returns what an `.npz` holds."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def space(export: pathlib.Path) -> str | None:
    """Returns the embedding space of the newest version of an export."""
    found = sorted(export.glob("*/assets.extra/tfav.json"))
    return json.loads(found[-1].read_text())["embedding_space"] if found else None


def draw_of(*words: object) -> random.Random:
    """Returns the random numbers of an attempt: the same ones whatever ran before it."""
    return random.Random("/".join(map(str, words)))


def copy(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Copies a folder."""
    return pathlib.Path(shutil.copytree(source, target))
