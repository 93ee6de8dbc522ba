"""Keeps converters quiet, whose C++ and progress bars write to the console past Python."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what the block writes to the console; shows it, as errors, if the block fails."""
    sys.stdout.flush()
    sys.stderr.flush()
    consoles = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 1)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            _flush()
            kept.seek(0)
            os.write(consoles[1], kept.read())
            raise
        finally:
            _flush()
            for number, console in enumerate(consoles, start=1):
                os.dup2(console, number)
                os.close(console)


def _flush() -> None:
    """Empties Python's own buffers while they still end in the file."""
    sys.stdout.flush()
    sys.stderr.flush()
