"""One run per workdir: who holds it is named, and what a killed run has left is no lock."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tfav import registry
from tfav.training import lock

HOLD = """
import sys
from tfav.training import lock
with lock.held(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with process:
        yield process
        process.kill()


def _refused(folder, who):
    with pytest.raises(registry.UserError, match=f"run is being trained by {who}.*: wait until"):
        lock.held(str(folder)).__enter__()


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path, holder):
    who = f"process {holder.pid} on {socket.gethostname()} since 20..-..-..T"
    _refused(tmp_path / "run", who)
    assert os.listdir(tmp_path / "run") == [".lock"]  # which is still the other's
    holder.stdin.close()
    assert holder.wait() == 0
    assert not (tmp_path / "run").exists()  # it was made for nothing
    with lock.held(str(tmp_path / "run")):
        pass


def test_what_a_killed_run_left_is_no_lock(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    with lock.held(str(tmp_path / "run")):
        owner = json.loads((tmp_path / "run" / ".lock").read_text())
        assert owner["pid"] == os.getpid() and owner["host"] == socket.gethostname()
    assert os.listdir(tmp_path / "run") == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "\x00"])
def test_a_damaged_lock_is_no_obstacle_and_no_lock_is_lost_by_it(tmp_path, text, holder):
    (tmp_path / "run" / ".lock").write_text(text)
    _refused(tmp_path / "run", "another process")
    holder.kill()
    holder.wait()
    with lock.held(str(tmp_path / "run")):
        pass


def test_folders_that_were_made_go_unless_something_lies_in_them(tmp_path):
    (tmp_path / "mine").mkdir()
    with lock.held(str(tmp_path / "mine" / "a" / "b")):
        assert os.listdir(tmp_path / "mine" / "a" / "b") == [".lock"]
    assert os.listdir(tmp_path) == ["mine"] and os.listdir(tmp_path / "mine") == []
    with pytest.raises(ZeroDivisionError), lock.held(str(tmp_path / "mine" / "a" / "b")):
        (tmp_path / "mine" / "a" / "x").touch()
        raise ZeroDivisionError
    assert os.listdir(tmp_path / "mine" / "a") == ["x"]


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.parametrize(
    ("pid", "host", "lives"),
    [
        (os.getpid(), socket.gethostname(), True),
        (2**22 + 1, socket.gethostname(), False),  # above the kernel's largest
        (1, "elsewhere", True),  # nobody here knows
    ],
    ids=["a process here", "no process here", "a process elsewhere"],
)
def test_without_locks_the_owner_in_the_file_decides(tmp_path, no_locks, pid, host, lives):
    (tmp_path / ".lock").write_text(json.dumps({"pid": pid, "host": host, "time": "then"}))
    if lives:
        with pytest.raises(registry.UserError, match=f"process {pid} on {host} since then"):
            lock.held(str(tmp_path)).__enter__()
        return
    with lock.held(str(tmp_path)):
        pass
    assert os.listdir(tmp_path) == []


def test_a_workdir_below_a_file_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        lock.held(str(tmp_path / "file" / "run")).__enter__()
