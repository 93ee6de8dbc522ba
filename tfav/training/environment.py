"""What a run ran on and with: the facts a figure needs to be made again."""

import datetime
import os
import platform
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfav
from tfav import states

FILE = "environment.json"
_START = {"step": int, "data_sha256": str, "labels": [str], "vector_spaces?": {"*": str}}
_FORM = {"starts": [{**_START, "*": object}]}


def revision(file: str = __file__) -> str | None:
    """Returns the commit of the sources, marked when changed; None for an installed package.

    Git must know the file itself: an installed package may lie in somebody else's repository.

    Args:
      file: one of the sources.
    """
    folder, name = os.path.split(os.path.abspath(file))
    describe = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        for command in (("ls-files", "--error-unmatch", "--", name), describe):
            done = subprocess.run(
                ("git", "-C", folder, *command),
                capture_output=True,
                check=True,
                text=True,
                timeout=10,
            )
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def facts(**more: Any) -> dict[str, Any]:
    """Returns versions, devices, revision, command and time, with `more` beside them."""
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "tfav": tfav.__version__,
        "revision": revision(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "machine": platform.platform(),
        "devices": [d.name for d in tf.config.list_logical_devices()],
        **more,
    }


def starts(workdir: str) -> list[dict[str, Any]]:
    """Returns the facts of every earlier start of a run, oldest first.

    Raises:
      UserError: the file is damaged.
    """
    path = os.path.join(workdir, FILE)
    if not os.path.exists(path):
        return []
    return states.read(path, _FORM, "restore it from a copy, or train into a new --workdir")[
        "starts"
    ]


def vector_spaces(workdir: str) -> dict[str, str]:
    """Returns modality to the id of the space of the vectors that a run was trained on.

    The first start that names one decides: later ones had the same vectors, named or not. Nothing
    of a modality whose vectors never named one, or of a run of before it was noted.

    Raises:
      UserError: the file is damaged.
    """
    found: dict[str, str] = {}
    for start in starts(workdir):
        found = {**start.get("vector_spaces", {}), **found}
    return found


def record(workdir: str, entry: dict[str, Any]) -> None:
    """Adds the facts of this start to `environment.json`."""
    states.write(os.path.join(workdir, FILE), {"starts": [*starts(workdir), entry]})
