"""A folder that appears complete or not at all, and what a killed run leaves of it."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from tfav import folders

KILLED = """
import os, sys
from tfav import folders
with folders.folder(sys.argv[1]) as folder:
    open(os.path.join(folder, "half"), "w").close()
    os.kill(os.getpid(), 9)
"""


def test_a_failed_rename_puts_the_old_folder_back(tmp_path, monkeypatch):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    rename = os.rename

    def second_fails(source, target):
        if str(source).endswith("new"):
            raise OSError(errno.EIO, "broken")
        rename(source, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(OSError, match="broken"):
        folders.publish(tmp_path / "new", tmp_path / "old")
    assert os.listdir(tmp_path / "old") == ["old"]


def test_what_a_killed_run_left_goes_with_the_next_run(tmp_path):
    place = str(tmp_path / "set")
    assert subprocess.run([sys.executable, "-c", KILLED, place]).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("set.partial-") and os.listdir(left) == ["half"]
    with folders.folder(place) as folder:
        assert os.listdir(tmp_path) == [os.path.basename(folder)]
        assert not left.exists()
    assert os.listdir(tmp_path) == []


def test_only_folders_of_exactly_that_name_go(tmp_path):
    kept = {
        "set",
        "set.partial-",
        "set.partial-mine",
        "set.partial-abcdefghi",
        "set.partial-abcdefgh.bak",
        ".set.partial-abcdefgh",  # of an export to `set`
        "other.partial-abcdefgh",
        "my_set.partial-abcdefgh",
    }
    for name in kept | {"set.partial-abc_efg8"}:
        (tmp_path / name).mkdir()
    (tmp_path / "set.partial-file_678").touch()
    (tmp_path / "set.partial-link_678").symlink_to(tmp_path / "set")
    with folders.folder(tmp_path / "set"):
        pass
    assert set(os.listdir(tmp_path)) == kept | {"set.partial-file_678", "set.partial-link_678"}


def test_the_folder_of_a_run_that_still_writes_stays(tmp_path):
    with folders.folder(tmp_path / "set") as first:
        with folders.folder(tmp_path / "set") as second:
            assert first != second
        assert os.path.isdir(first)
        folders.publish(first, tmp_path / "set")
    assert os.listdir(tmp_path) == ["set"]


def test_the_old_folder_of_a_killed_exchange_stays_until_there_is_a_new_one(tmp_path):
    (tmp_path / "set.partial-abcdefgh-old").mkdir()
    with folders.folder(tmp_path / "set") as folder:
        assert (tmp_path / "set.partial-abcdefgh-old").exists()
        folders.publish(folder, tmp_path / "set")
    with folders.folder(tmp_path / "set"):
        assert not (tmp_path / "set.partial-abcdefgh-old").exists()
    assert os.listdir(tmp_path) == ["set"]
