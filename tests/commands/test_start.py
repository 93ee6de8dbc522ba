"""One command from two folders: which commands it runs, what it leaves alone, how it goes on."""

import subprocess
import sys

import pytest

from tests.data.prepare.test_two_folders import roots  # noqa: F401
from tfav import registry
from tfav.commands import start


@pytest.fixture
def ran(monkeypatch):
    """The commands that were run; `code` is how each ends."""
    calls = []

    def run(command, stdout):
        assert command[1] == "-m"
        calls.append((command[2].removeprefix("tfav.bin."), command[3:]))
        return subprocess.CompletedProcess(command, run.code)

    run.code = 0
    monkeypatch.setattr(start.subprocess, "run", run)
    return run, calls


def test_all_commands_run_and_are_printed(roots, ran, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    lines = list(start.start(roots["audio"], roots["image"], str(out), steps=7, seed=3))
    assert lines[0] == "people: 10 with voices and faces: 6 train, 2 val, 2 test"
    assert lines[-1] == f"open {out}/report.html in a browser"
    names = [name for name, _ in ran[1]]
    assert names == ["prepare", "train", "eval", "report"]
    assert [line.split()[1] for line in lines if "$ " in line] == [f"tfav-{n}" for n in names]
    train = dict(ran[1])["train"]
    assert "--config.train.batch_size=6" in train and "--config.train.num_steps=7" in train
    assert (out / "manifest.csv").read_text().count("\n") == 31


def test_the_same_call_goes_on_and_another_one_is_refused(roots, ran, tmp_path):  # noqa: F811
    arguments = (roots["audio"], roots["image"], str(tmp_path / "out"))
    list(start.start(*arguments))
    (tmp_path / "out" / "data").mkdir()
    (tmp_path / "out" / "data" / "dataset.json").touch()
    list(start.start(*arguments))
    assert [name for name, _ in ran[1]][4:] == ["train", "eval", "report"]
    with pytest.raises(registry.UserError, match="made from other folders, files or another --se"):
        list(start.start(*arguments, seed=1))


def test_a_folder_of_something_else_is_not_written_into(roots, ran, tmp_path):  # noqa: F811
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(registry.UserError, match="mine holds other things: name a new folder"):
        list(start.start(roots["audio"], roots["image"], str(tmp_path / "mine")))
    assert ran[1] == []


def test_quiet_and_where_to_print_reach_every_command(roots, tmp_path, monkeypatch):  # noqa: F811
    calls = []

    def run(command, stdout):
        calls.append((command[-1], stdout))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(start.subprocess, "run", run)
    out = str(tmp_path / "out")
    list(start.start(roots["audio"], roots["image"], out, said=sys.stderr, quiet=True))
    assert calls == [("--quiet", sys.stderr)] * 4
    (tmp_path / "out" / "run").mkdir()
    (tmp_path / "out" / "run" / "metrics.json").write_text('{"results": [1]}')
    assert start.record(out) == {
        "manifest": f"{out}/manifest.csv",
        "data": f"{out}/data",
        "run": f"{out}/run",
        "page": f"{out}/report.html",
        "figures": {"results": [1]},
    }


def test_a_step_that_fails_is_the_last_one(roots, ran, tmp_path):  # noqa: F811
    ran[0].code = 2
    with pytest.raises(registry.UserError, match="tfav-prepare ended with code 2, see above: mend"):
        list(start.start(roots["audio"], roots["image"], str(tmp_path / "out")))
    assert [name for name, _ in ran[1]] == ["prepare"]
