"""What a run ran on and with: the facts a figure needs to be made again."""

import datetime
import json
import os
import platform
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfav import files, registry


def _git_revision() -> str | None:
    """Returns the commit of the sources, marked when changed; None for an installed package."""
    folder = os.path.dirname(os.path.abspath(__file__))
    try:
        command = [
            "git",
            "-C",
            folder,
            "describe",
            "--always",
            "--dirty",
            "--abbrev=40",
            "--exclude=*",
        ]
        return subprocess.run(
            command, capture_output=True, check=True, text=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def facts(**more: Any) -> dict[str, Any]:
    """Returns versions, devices, revision, command and time, with `more` beside them."""
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "revision": _git_revision(),
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
    path = os.path.join(workdir, "environment.json")
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)["starts"]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise registry.UserError(
            f"{path} is damaged ({error}): restore it, or train into a new --workdir."
        ) from error


def record(workdir: str, entry: dict[str, Any]) -> None:
    """Adds the facts of this start to `environment.json`."""
    files.write_json(
        os.path.join(workdir, "environment.json"), {"starts": [*starts(workdir), entry]}
    )
