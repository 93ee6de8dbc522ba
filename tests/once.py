"""What is made once for all processes of a test run, and read by all."""

import fcntl
import os
import pathlib
import pickle
from collections.abc import Callable
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[pathlib.Path], Made]
) -> tuple[pathlib.Path, Made]:
    """Returns a folder, and what `make` returned of it, from whichever process came first.

    Args:
      factory: `tmp_path_factory`, whose folder the workers of pytest-xdist have in common.
      name: Name of the folder, unlike all others of the run.
      make: fills the folder, which is read only from then on, and returns what pickle takes.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, kept = root / "once" / name, root / "once" / f"{name}.pickle"
    (root / "once").mkdir(exist_ok=True)
    with open(root / "once" / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not kept.exists():
            folder.mkdir(exist_ok=True)
            content = pickle.dumps(make(folder))
            kept.write_bytes(content)
    return folder, pickle.loads(kept.read_bytes())
