"""Runs binaries in processes forked from one that has imported TensorFlow, which takes seconds.

Called as `python -m tests.forked`: reads one JSON line a command, `{"argv": [...], "stdout": PATH,
"stderr": PATH}`, and answers each with the exit code. A fork is a process of its own: flags, device
settings and the end of one command do not reach the next.
"""

import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Done(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Server:
    """The parent of the forks; `run` gives it one command after the other.

    Args:
      folder: where outputs pass through.
      prefix: what to start it with, such as `unshare`.
    """

    def __init__(self, folder: str | os.PathLike, prefix: Sequence[str] = ()):
        self._folder = os.fspath(folder)
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.forked"],
            cwd=ROOT,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.pid = self._process.pid

    def run(self, binary: str, *flags: object) -> Done:
        """Runs `bin/BINARY.py FLAGS` to its end."""
        paths = {name: os.path.join(self._folder, name) for name in ("stdout", "stderr")}
        argv = [os.path.join(ROOT, "bin", f"{binary}.py"), *map(str, flags)]
        self._process.stdin.write(json.dumps({"argv": argv, **paths}) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        texts = []
        for path in paths.values():
            with open(path, encoding="utf-8") as f:
                texts.append(f.read())
        return Done(code, *texts)

    def close(self) -> None:
        """Ends the parent."""
        self._process.communicate(timeout=60)


def _child(argv: list[str], stdout: str, stderr: str, temporary: str) -> int:
    # AutoGraph leaves its files there, which it removes at an end that `os._exit` does not have.
    os.environ["TMPDIR"] = tempfile.tempdir = temporary
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.argv = argv
    sys.path.insert(0, os.path.dirname(argv[0]))  # as Python does for a file that it runs
    try:
        runpy.run_path(argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def main() -> None:
    # What the forks need not do again.
    import tensorflow  # noqa: F401

    from tfav.commands import (  # noqa: F401
        compare,
        embed,
        evaluate,
        export,
        load,
        report,
        train,
    )
    from tfav.data.prepare import dataset, sources  # noqa: F401

    for line in sys.stdin:
        command = json.loads(line)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            child = os.fork()
            if not child:
                os._exit(_child(**command, temporary=temporary))
            _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
