"""Fresh processes that load a SavedModel, each forked from one that has imported TensorFlow.

The import takes longer than the check that needs it. So one process does it, beside what an export
does meanwhile, and starts nothing of TensorFlow; every check is a fork of it, which therefore finds
what a server finds that has just started. The parent ends with the process that started it.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading

import tfav

# By what started it, as a fork inherits this table, and the interpreter.
_parents: dict[tuple[int, str], subprocess.Popen[str]] = {}
_lock = threading.Lock()


def start() -> subprocess.Popen[str]:
    """Returns the parent of the forks, which is started where it does not run yet."""
    key = (os.getpid(), sys.executable)
    parent = _parents.get(key)
    if parent is None or parent.poll() is not None:
        root = os.path.dirname(os.path.dirname(os.path.abspath(tfav.__file__)))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
            "CUDA_VISIBLE_DEVICES": "-1",  # this process may hold all of the GPU's memory
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        parent = _parents[key] = subprocess.Popen(
            [sys.executable, "-m", "tfav.export.serving.session_loader"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    return parent


def load(model: str, inputs: str, outputs: str) -> tuple[int, str]:
    """Runs `session_loader.run` in a fresh process.

    Returns:
      its exit status, negative where a signal killed it, and what it wrote to the standard error.
    """
    with _lock, tempfile.TemporaryDirectory() as folder:
        errors = os.path.join(folder, "stderr")
        parent = start()
        assert parent.stdin and parent.stdout and parent.stderr
        # The working directory may have changed since the parent started.
        request = [os.path.abspath(path) for path in (model, inputs, outputs, errors)]
        with contextlib.suppress(BrokenPipeError):
            parent.stdin.write(json.dumps(request) + "\n")
            parent.stdin.flush()
        answer = parent.stdout.readline()
        if not answer:  # the parent itself has ended
            return parent.wait() or 1, parent.stderr.read()
        with open(errors, encoding="utf-8", errors="replace") as file:
            return int(answer), file.read()
