"""A command that another one runs, and the signals that end both."""

import signal
import subprocess
from collections.abc import Sequence
from typing import IO


def run(
    command: Sequence[str], stdout: IO[str] | None = None, stderr: IO[str] | int | None = None
) -> int:
    """Runs a command until it has ended; returns its exit code.

    A training saves before it ends, so both ways of stopping wait for the command: SIGTERM comes to
    this process alone and is handed on; Ctrl-C reaches the command too, and a second one ends it.

    Args:
      command: with its arguments.
      stdout: where it prints; None: where this process does.
      stderr: likewise.

    Raises:
      SystemExit: this process or the command got SIGTERM, 143.
      KeyboardInterrupt: this process or the command was interrupted.
    """
    process: subprocess.Popen[bytes] | None = None
    told = False

    def hand_on(number: int, frame: object) -> None:
        del number, frame
        nonlocal told
        told = True
        if process is not None:
            process.terminate()

    previous = signal.signal(signal.SIGTERM, hand_on)
    try:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        if told:  # while it was started
            process.terminate()
        code = _wait(process)
    finally:
        signal.signal(signal.SIGTERM, previous)
    if told or _ended_by(signal.SIGTERM, code):
        raise SystemExit(128 + signal.SIGTERM)
    if _ended_by(signal.SIGINT, code):
        raise KeyboardInterrupt
    return code


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Returns an exit code; `subprocess.run` would kill at Ctrl-C what is saving."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
        raise


def _ended_by(number: int, code: int) -> bool:
    """Says whether a signal ended a process: one that handles it adds 128, as shells do."""
    return code in (128 + number, -number)
