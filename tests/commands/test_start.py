"""One command from two folders: which commands it runs, what it leaves alone, how it goes on."""

import csv
import os
import signal
import sys
import types

import pytest

from tests.data.prepare.test_two_folders import roots  # noqa: F401
from tfav import registry
from tfav.commands import child, start


def prepare(command, bad=()):
    """Writes what a later step reads of what prepare makes of a manifest."""
    flags = dict(word[2:].split("=", 1) for word in command if "=" in word)
    os.makedirs(flags["output"], exist_ok=True)
    with open(flags["manifest"], encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["id"] not in bad]
    with open(os.path.join(flags["output"], "index.csv"), "w", encoding="utf-8") as file:
        file.write("split,label,num_samples,num_frames\n")
        for row in rows:
            held = (16_000 if row["audio"] else 0, 1 if row["image"] else 0)
            file.write(f"{row['split']},{row['label']},{held[0]},{held[1]}\n")
    with open(os.path.join(flags["output"], "dataset.json"), "w", encoding="utf-8"):
        pass


@pytest.fixture
def ran(monkeypatch):
    """The commands that were run; `code` is how each ends, `bad` the ids that prepare refuses."""
    calls = []

    def run(command, stdout, stderr):
        assert command[1] == "-m"
        calls.append((command[2].removeprefix("tfav.bin."), command[3:]))
        if calls[-1][0] == "prepare" and not run.code:
            prepare(command, run.bad)
        return types.SimpleNamespace(wait=lambda: run.code)

    run.code, run.bad = 0, ()
    monkeypatch.setattr(child.subprocess, "Popen", run)
    return run, calls


def test_all_commands_run_and_are_printed(roots, ran, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    lines = list(start.start(roots["audio"], roots["image"], str(out), steps=7, seed=3))
    assert lines[0] == "people: 10 with voices and faces: 6 train, 2 val, 2 test"
    assert lines[-1] == f"open {(out / 'report.html').resolve().as_uri()} in a browser"
    assert not any("lack of" in line for line in lines)
    names = [name for name, _ in ran[1]]
    assert names == ["prepare", "train", "eval", "report"]
    assert [line.split()[1] for line in lines if "$ " in line] == [f"tfav-{n}" for n in names]
    train = dict(ran[1])["train"]
    assert "--config.train.batch_size=6" in train and "--config.train.num_steps=7" in train
    assert (out / "manifest.csv").read_text().count("\n") == 31


def test_the_same_call_goes_on_and_another_one_is_refused(roots, ran, tmp_path):  # noqa: F811
    arguments = (roots["audio"], roots["image"], str(tmp_path / "out"))
    list(start.start(*arguments))
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

    def run(command, stdout, stderr):
        calls.append((command[-1], stdout))
        if command[2] == "tfav.bin.prepare":
            prepare(command)
        return types.SimpleNamespace(wait=lambda: 0)

    monkeypatch.setattr(child.subprocess, "Popen", run)
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
    with pytest.raises(registry.UserError, match="ended with code 2, see above: correct"):
        list(start.start(roots["audio"], roots["image"], str(tmp_path / "out")))
    assert [name for name, _ in ran[1]] == ["prepare"]


def test_a_batch_takes_no_more_people_than_have_usable_files(roots, ran, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    list(start.start(roots["audio"], roots["image"], str(out)))
    with open(out / "manifest.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    one = next(row["label"] for row in rows if row["split"] == "train")
    ran[0].bad = {row["id"] for row in rows if row["label"] == one and row["audio"]}
    again = tmp_path / "again"
    lines = list(start.start(roots["audio"], roots["image"], str(again)))
    told = f"left out for lack of a usable voice or face, see {again}/data/bad_rows.csv: {one}"
    assert lines[-2] == told
    trained = [words for name, words in ran[1] if name == "train"]
    assert "--config.train.batch_size=6" in trained[0]
    assert "--config.train.batch_size=5" in trained[1]


@pytest.mark.parametrize("code", [130, -signal.SIGINT])
def test_an_interrupted_step_is_no_failure(roots, ran, tmp_path, code):  # noqa: F811
    ran[0].code = code
    with pytest.raises(KeyboardInterrupt):
        list(start.start(roots["audio"], roots["image"], str(tmp_path / "out")))


@pytest.mark.parametrize("code", [143, -signal.SIGTERM])
def test_a_step_that_got_sigterm_is_no_failure_and_the_last_one(roots, ran, tmp_path, code):  # noqa: F811
    ran[0].code = code
    with pytest.raises(SystemExit) as ended:
        list(start.start(roots["audio"], roots["image"], str(tmp_path / "out")))
    assert ended.value.code == 143
    assert [name for name, _ in ran[1]] == ["prepare"]


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_waits_for_the_step_which_may_save_and_twice_ends_it(
    roots,  # noqa: F811
    tmp_path,
    monkeypatch,
    times,
):
    events = ["interrupt"] * times

    def wait():
        if events and events[0] == "interrupt":
            events.pop(0)
            raise KeyboardInterrupt
        events.append("ended")
        return 130

    step = types.SimpleNamespace(wait=wait, terminate=lambda: events.append("terminated"))
    monkeypatch.setattr(child.subprocess, "Popen", lambda *_, **__: step)
    with pytest.raises(KeyboardInterrupt):
        list(start.start(roots["audio"], roots["image"], str(tmp_path / "out")))
    assert events == ["terminated"] * (times - 1) + ["ended"]
