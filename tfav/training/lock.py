"""One run trains in a workdir at a time: a lock that says who holds it."""

import contextlib
import datetime
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

from absl import logging

from tfav import registry

FILE = ".lock"


@contextlib.contextmanager
def held(workdir: str) -> Iterator[None]:
    """Holds the lock of a workdir, which is made if absent and goes again if it stays empty.

    The kernel lets the lock go when the process ends, however it ends, so what a killed run has
    left of it is no lock. Where a file system has no locks, the process that the file names must
    be gone. Who only reads a workdir takes no lock.

    Raises:
      UserError: another process holds it; names that process.
    """
    made = _make(workdir)
    path = os.path.join(workdir, FILE)
    try:
        handle = _take(workdir, path)
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            os.close(handle)
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it holds something
                os.rmdir(folder)


def _make(folder: str) -> list[str]:
    """Makes a folder and those above it; returns what was not there, the innermost first."""
    missing = []
    above = os.path.abspath(folder)
    while not os.path.lexists(above):
        missing.append(above)
        above = os.path.dirname(above)
    os.makedirs(folder, exist_ok=True)
    return missing


def _take(workdir: str, path: str) -> int:
    """Returns the open and locked file, with this process as its owner inside."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        owner = _owner(handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        except OSError:  # a file system without locks
            free = not _lives(owner)
        if not free:
            os.close(handle)
            raise registry.UserError(
                f"{workdir} is being trained by {_name(owner)}: wait until that run ends, stop it, "
                "or name another --workdir."
            )
        # Who held it may have removed the file since it was opened here.
        if os.path.exists(path) and os.path.samestat(os.fstat(handle), os.stat(path)):
            break
        os.close(handle)
    if owner:
        logging.info("%s: %s has ended without a word", workdir, _name(owner))
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "time": now})
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)
    return handle


def _owner(handle: int) -> dict[str, Any]:
    """Returns who wrote the file; nothing where that cannot be read."""
    try:
        owner = json.loads(os.pread(handle, 4096, 0))
        return {"pid": int(owner["pid"]), "host": str(owner["host"]), "time": str(owner["time"])}
    except (ValueError, KeyError, TypeError):
        return {}


def _lives(owner: dict[str, Any]) -> bool:
    """Says whether the owner may still run: of a process on another host nobody knows."""
    if not owner:
        return False
    if owner["host"] != socket.gethostname():
        return True
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True


def _name(owner: dict[str, Any]) -> str:
    if not owner:
        return "another process"
    return f"process {owner['pid']} on {owner['host']} since {owner['time']}"
