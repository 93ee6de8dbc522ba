"""The processes in which a SavedModel is loaded for the first time."""

import os

import pytest

from tfav import registry
from tfav.export.serving import fresh_process, saved_model


def load(folder, monkeypatch):
    """Has a model loaded that is not there, by a path from `folder`."""
    monkeypatch.chdir(folder)
    (folder / "inputs.npz").write_bytes(b"PK\5\6" + bytes(18))  # an archive of nothing
    return fresh_process.load("absent", "inputs.npz", "outputs.npz")


def test_one_parent_serves_all_checks_and_one_that_is_gone_is_replaced(tmp_path, monkeypatch):
    before = fresh_process.start()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        status, errors = load(tmp_path / name, monkeypatch)
        assert status == 1 and f"{tmp_path}/{name}/absent" in errors
        assert errors.count("Traceback") == 1  # that of this check alone
    assert fresh_process.start() is before
    before.kill()
    before.wait()
    assert load(tmp_path, monkeypatch)[0] == 1
    assert fresh_process.start() is not before


def test_a_fork_of_this_process_has_a_parent_of_its_own(monkeypatch):
    before = fresh_process.start()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    other = fresh_process.start()
    assert other.pid != before.pid
    other.kill()
    other.wait()


def test_a_check_that_was_killed_is_a_sentence(monkeypatch):
    monkeypatch.setattr(fresh_process, "load", lambda *_: (-9, ""))
    with pytest.raises(registry.UserError, match="was killed .signal 9.: free some memory"):
        saved_model._run_fresh("model", "inputs", "outputs")
