"""What a command takes from its start to its end, against Python alone."""

import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable

from benchmarks import exported, loader, timing

FLOOR = "python -c pass"
BINARIES = ("embed", "train", "prepare")


def rows() -> list[timing.Row]:
    """Returns `--help` of some commands, and one WAV file embedded by a `.tflite`."""
    floor = {FLOOR: _process("-c", "pass")}
    found = [
        timing.row(f"bin/{name}.py --help", "", _process(f"bin/{name}.py", "--help"), floor)
        for name in BINARIES
    ]
    with tempfile.TemporaryDirectory() as folder:
        loader.write(folder, loader.SIZES["demo"])
        exported.write(os.path.join(folder, "export"), folder)
        one = _process(
            "bin/embed.py",
            f"--model={folder}/export/audio_float32.tflite",
            f"--inputs={folder}/0.wav",
            f"--output={folder}/0.npz",
            "--overwrite",
        )
        found.append(timing.row("bin/embed.py of one file", ".tflite, 3 s of audio", one, floor))
    return found


def _process(*arguments: str) -> Callable[[], object]:
    root = pathlib.Path(__file__).parent.parent
    return lambda: subprocess.run(
        [sys.executable, *arguments], cwd=root, check=True, capture_output=True
    )
