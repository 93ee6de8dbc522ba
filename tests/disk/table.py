"""Commands that write, ways in which a disk fails, and what must hold after each."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from tests import forked, small, untrained
from tests.hostile import media, place

SHIM = pathlib.Path(__file__).with_name("shim.c")
MODES = ("full", "readonly", "gone", "slow")
AFTER_BYTES = (0, 3_000, 60_000)  # that can be written before a disk is full or gone
_CONFIG = """import sys
sys.path.insert(0, {root!r})
from tests import small


def get_config(variant=""):
    config = small.config({data!r})
    config.deterministic = True
    config.train.num_steps, config.train.steps_per_call = 4, 1
    config.train.checkpoint_every = 2
    return config
"""
# What a run may have more of after a failure: what it had done until then.
_GROWS = re.compile(
    r"config\.json|scalars\.jsonl|tensorboard|checkpoints|environment\.json|weights\.npz|\.lock"
)


class Outcome(NamedTuple):
    """How a command ended on such a disk.

    Attributes:
      wrong: what should not be; empty: nothing.
      said: its sentence.
    """

    wrong: str
    said: str


def compiled(folder: pathlib.Path) -> pathlib.Path:
    """Returns the shim, compiled; skips where there is no compiler."""
    if not shutil.which("gcc"):
        pytest.skip("no gcc to compile the disk that fails")
    library = folder / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM), "-ldl"]
    subprocess.run(command, check=True)
    return library


class Disk:
    """A folder whose disk fails for the commands that are told so, and what they read.

    Args:
      folder: an empty one.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder, self.root = folder, folder / "disk"
        self.root.mkdir()
        self.data = small.write_dataset(str(folder / "people"))
        rows = untrained.write_data(folder / "data")
        self.run = untrained.write(folder / "run", str(rows), "voice_face")
        media.write_intact(folder / "media")
        (folder / "manifest.csv").write_text(
            "id,split,label,audio,image\na,train,p0,media/voice.wav,media/face.png\n"
            "b,test,p1,media/voice.wav,media/face.png\n"
        )
        text = _CONFIG.format(root=forked.ROOT, data=self.data)
        (folder / "config.py").write_text(text)
        prefix = ["env", f"LD_PRELOAD={compiled(folder)}"]
        self.server = forked.Server(folder, prefix)

    def flags(self, command: str, output: pathlib.Path) -> list[str]:
        """Returns the flags of a command that writes to `output`."""
        flags: Mapping[str, Callable[[], list[str]]] = {
            "train": lambda: [f"--config={self.folder}/config.py", f"--workdir={output}"],
            "prepare": lambda: [
                f"--manifest={self.folder}/manifest.csv",
                f"--output={output}",
                "--lists=none",
                "--overwrite",
            ],
            "embed": lambda: [
                f"--model={self.run}",
                f"--inputs={self.folder}/media",
                f"--output={output}/x.npz",
                "--overwrite",
            ],
            "report": lambda: [f"--workdir={self.run}", f"--output={output}/page.html"],
            "search": lambda: [
                f"--model={self.run}",
                f"--index={self.folder}/media",
                f"--query={self.folder}/media",
                f"--page={output}/page.html",
            ],
            "eval": lambda: [f"--workdir={self.run}", f"--output={output}/figures"],
            "export": lambda: [
                f"--workdir={self.run}",
                f"--output={output}/export",
                "--precisions=float32",
            ],
        }
        return flags[command]()

    def attempt(self, command: str, mode: str, after: int) -> Outcome:
        """Writes what is good, then on a disk that fails, then on one that does not."""
        output = self.root / f"{command}-{mode}-{after}"
        flags = self.flags(command, output)
        first = [*flags, "--config.train.num_steps=2"] if command == "train" else flags
        done = self.server.run(command, *first)
        if done.code:
            raise RuntimeError(f"{command}: {done.stderr[-3000:]}")
        before = _tree(output)
        env = {
            "TFAV_DISK_ROOT": str(self.root),
            "TFAV_DISK_MODE": mode,
            "TFAV_DISK_AFTER": str(after),
        }
        failed = self.server.run(command, *flags, env=env)
        if mode == "slow":
            return Outcome(failed.code and f"slow: {failed.stderr[-500:]}" or "", "")
        outcome, said = place.ended(failed)
        wrong = ""
        if outcome is None:  # it wrote less than the disk takes
            return Outcome("", "")
        if outcome != "sentence":
            wrong = f"{outcome}: {said}"
        changed = [
            name
            for name, digest in before.items()
            if _tree(output).get(name) != digest
            and not (command == "train" and _GROWS.search(name))
        ]
        if not wrong and changed:
            wrong = f"{changed[0]} was good and is lost"
        again = self.server.run(command, *flags)
        if not wrong and again.code:
            wrong = f"it does not go on: {again.stderr[-500:]}"
        left = [n for n in _tree(output.parent) if re.search(r"\.tmp$|\.partial-|_temp/", n)]
        if not wrong and left:
            wrong = f"{left[0]} is left"
        return Outcome(wrong, said)


def _tree(folder: pathlib.Path) -> dict[str, str]:
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = pathlib.Path(base) / name
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


COMMANDS = ("train", "prepare", "embed", "report", "search", "eval", "export")
CASES = [
    (command, mode, after)
    for command in COMMANDS
    for mode in MODES
    for after in (AFTER_BYTES if mode in ("full", "gone") else (0,))
]
