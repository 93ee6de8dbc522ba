"""Runs binaries in processes forked from one that has imported TensorFlow, which takes seconds.

Called as `python -m tests.forked`: reads one JSON line per request. `{"argv": [...], "stdout":
PATH, "stderr": PATH, "cwd": PATH, "env": {...}}` starts a command and is answered with the number
of its process, `{"pid": N, "block": BOOL}` with its exit code, or with `null` while it runs. A fork
is a process of its own: flags, device settings and the end of one command do not reach the next.
What a command starts is a fork too: the commands of `tfav-compare` and `tfav-start`, and the
process that checks a SavedModel.
What forks share is the seed of Python's hashes, the places of the libraries in memory, and what
AutoGraph made of functions (`tests.conversions`); a test of what must not hang on them runs one
side of it in a process from scratch.
"""

import contextlib
import functools
import io
import json
import os
import pathlib
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Done(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Process:
    """A command that was started, with what `subprocess.Popen` offers of it.

    Attributes:
      pid: Number of its process.
      stdout: the file of its standard output.
      stderr: the file of its standard error.
      returncode: how it ended; None: it runs, as far as is known.
    """

    def __init__(self, ask: Callable[[dict], int | None], pid: int, stdout: str, stderr: str):
        self._ask = ask
        self.pid, self.stdout, self.stderr = pid, stdout, stderr
        self.returncode: int | None = None

    def poll(self, block: bool = False) -> int | None:
        """Returns how it ended, None while it runs."""
        if self.returncode is None:
            self.returncode = self._ask({"pid": self.pid, "block": block})
        return self.returncode

    def wait(self, timeout: float = float("inf")) -> int:
        """Returns how it ended, once it has."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked command", timeout)
            time.sleep(0.02)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal to it."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills it."""
        self.send_signal(signal.SIGKILL)

    def done(self) -> Done:
        """Waits for its end, and returns that with what it has written."""
        code = self.poll(block=True)
        assert code is not None
        texts = [pathlib.Path(path).read_text("utf-8") for path in (self.stdout, self.stderr)]
        return Done(code, *texts)


class Server:
    """The parent of the forks.

    Args:
      folder: where outputs pass through.
      prefix: what to start it with, such as `unshare`.
    """

    def __init__(self, folder: str | os.PathLike, prefix: Sequence[str] = ()):
        self._folder = os.fspath(folder)
        self._lock = threading.Lock()
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

    def start(
        self,
        argv: Sequence[object],
        *,
        stdout: str | os.PathLike = "",
        stderr: str | os.PathLike = "",
        cwd: str | os.PathLike = ROOT,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Starts `python ARGV`, whose outputs go to files.

        Args:
          argv: a file, or `-m` and a module, and arguments.
          stdout: the file of the standard output; empty: one of the folder.
          stderr: that of the standard error; empty: one of the folder. It may be the same one.
          cwd: the working directory.
          env: what is set in its environment.
        """
        outputs = {"stdout": os.fspath(stdout), "stderr": os.fspath(stderr)}
        paths = {n: path or os.path.join(self._folder, n) for n, path in outputs.items()}
        request = {"argv": list(map(str, argv)), "cwd": os.fspath(cwd), "env": dict(env or {})}
        pid = self._ask({**request, **paths})
        assert pid is not None
        return Process(self._ask, pid, **paths)

    def run(self, binary: str, *flags: object, **where: Any) -> Done:
        """Runs `bin/BINARY.py FLAGS` to its end, see `start`."""
        return self.start([os.path.join(ROOT, "bin", f"{binary}.py"), *flags], **where).done()

    def _ask(self, request: dict) -> int | None:
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the parent."""
        self._process.communicate(timeout=60)


class _Beside:
    """A process forked before the command has run anything, so that it has imports and no more.

    Attributes:
      connection: its standard input and output.
      stdin: writes to it.
      stdout: reads from it.
      stderr: empty.
    """

    def __init__(self, function: Callable[[], object]):
        self.connection, its = socket.socketpair()
        self._pid = os.fork()
        if not self._pid:
            try:
                self.connection.close()
                os.dup2(its.fileno(), 0)
                os.dup2(its.fileno(), 1)
                its.close()
                # Those that are there may hold what is not meant for it.
                sys.stdin = os.fdopen(0, closefd=False)
                sys.stdout = os.fdopen(1, "w", closefd=False)
                function()
            finally:
                os._exit(0)
        its.close()
        self.stdin, self.stdout = self.connection.makefile("w"), self.connection.makefile("r")
        self.stderr = io.StringIO()
        self._returncode: int | None = None

    def poll(self, options: int = os.WNOHANG) -> int | None:
        """Returns how it ended, None while it runs."""
        if self._returncode is None:
            ended, status = os.waitpid(self._pid, options)
            self._returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self._returncode

    def wait(self) -> int | None:
        """Returns how it ended, once it has."""
        return self.poll(0)


def _answer_commands() -> None:
    """Runs one command after the other, with the files that come with it."""
    with socket.socket(fileno=0) as connection:
        while True:
            content, files, *_ = socket.recv_fds(connection, 1 << 20, 2)
            if not content:
                return
            child = os.fork()
            if not child:
                connection.detach()
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os._exit(_run(json.loads(content), files))
            for file in files:
                os.close(file)
            connection.sendall(f"{child}\n".encode())
            _, status = os.waitpid(child, 0)
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


class _Command:
    """What `tfav.commands.child` starts, in a fork of a process beside."""

    def __init__(self, beside: _Beside, command: Sequence[str], stdout: Any, stderr: Any):
        self._beside = beside
        self._returncode: int | None = None
        out = stdout.fileno() if stdout else 1
        files = [out, out if stderr == subprocess.STDOUT else 2]
        sys.stdout.flush()
        content = json.dumps(command[1:]).encode()
        socket.send_fds(beside.connection, [content], files)
        self.pid = int(beside.stdout.readline())

    def wait(self) -> int:
        """Returns how it ended, once it has."""
        if self._returncode is None:
            self._returncode = int(self._beside.stdout.readline())
        return self._returncode

    def terminate(self) -> None:
        """Sends SIGTERM to it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)


def _run(argv: Sequence[str], files: Sequence[int]) -> int:
    """Runs `python ARGV` in this process, with files for its outputs; returns its exit code."""
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
    for file in set(files):
        os.close(file)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    try:
        if argv[0] == "-m":
            sys.argv = list(argv[1:])
            runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(argv)
            sys.path.insert(0, os.path.dirname(argv[0]))  # as Python does for a file that it runs
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


def _child(
    argv: list[str], stdout: str, stderr: str, cwd: str, env: dict[str, str], temporary: str
) -> int:
    from tests import conversions
    from tfav.commands import child
    from tfav.export.serving import fresh_process, session_loader

    # AutoGraph leaves its files there, which it removes at an end that `os._exit` does not have.
    os.environ["TMPDIR"] = tempfile.tempdir = temporary
    os.environ.update(env)
    conversions.tell(temporary)
    os.chdir(cwd)
    if any("export" in word for word in argv):
        fresh_process._parents[os.getpid(), sys.executable] = _Beside(session_loader.serve)
    if os.path.basename(argv[0]) in ("compare.py", "start.py"):
        started = functools.partial(_Command, _Beside(_answer_commands))
        child.subprocess = types.SimpleNamespace(Popen=started)
    files = [os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)]
    if stderr == stdout:
        files *= 2
    else:
        files.append(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    return _run(argv, files)


def _start(request: dict, temporary: str) -> int:
    child = os.fork()
    if not child:
        os._exit(_child(**request, temporary=temporary))
    return child


def main() -> None:
    # What the forks need not do again.
    import tensorflow  # noqa: F401

    from tests import conversions
    from tfav.commands import (  # noqa: F401
        child,
        compare,
        embed,
        evaluate,
        export,
        load,
        report,
        train,
    )
    from tfav.data.prepare import dataset, sources  # noqa: F401
    from tfav.export.serving import session_loader  # noqa: F401

    folders: dict[int, str] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer: int | None = None
        if "argv" in request:
            folder = tempfile.mkdtemp()
            answer = _start(request, folder)
            folders[answer] = folder
        else:
            child, status = os.waitpid(request["pid"], 0 if request["block"] else os.WNOHANG)
            if child:
                answer = os.waitstatus_to_exitcode(status)
                folder = folders.pop(child)
                conversions.take(folder)
                shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
