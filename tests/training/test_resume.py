"""Law: resuming equals not stopping, bit for bit, even after kill -9."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tfav import registry
from tfav.commands import train
from tfav.training import environment

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEPS = 120


def _command(data: str, workdir: str, *flags: str, variant: str = "demo") -> list[str]:
    return [
        os.path.join(ROOT, "bin", "train.py"),
        f"--config={ROOT}/configs/voice_face.py:{variant}",
        f"--workdir={workdir}",
        f"--config.data.directory={data}",
        "--config.deterministic=True",
        "--config.data.audio_seconds=(0.4, 0.5)",
        "--config.embedding_size=8",
        "--config.image.size=32",
        "--config.train.batch_size=4",
        f"--config.train.num_steps={STEPS}",
        "--config.train.steps_per_call=4",
        "--config.train.checkpoint_every=20",
        "--config.train.validate_every=50",
        *flags,
    ]


def _stop(how: signal.Signals, path: str, start: Callable, command: Sequence[str]) -> int:
    """Starts a run, sends it a signal once a file is there, and returns how it ended."""
    process = start(command)
    deadline = time.time() + 120
    while not os.path.exists(path):
        assert process.poll() is None, "it ended by itself"
        assert time.time() < deadline, f"{path} never came"
        time.sleep(0.02)
    process.send_signal(how)
    return process.wait(timeout=120)


def _ways(forks, scratch: str) -> dict[str, Callable]:
    """Returns how the part of a run before it was stopped is started, and the part after it.

    One of the two in a process from scratch, as nothing that decides a sum may hang on a process.
    The other in a fork, as the run that nobody stopped.
    """
    ways = dict.fromkeys(("before", "after"), forks.start)
    return ways | {scratch: lambda command: subprocess.Popen([sys.executable, *command], cwd=ROOT)}


def _state(workdir: str) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(os.path.join(workdir, "checkpoints"))
    names = [
        n
        for n in reader.get_variable_to_shape_map()
        if not n.startswith(("_CHECKPOINTABLE", "save_counter"))
    ]
    return {name: reader.get_tensor(name) for name in names}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return small.write_dataset(str(tmp_path_factory.mktemp("resume") / "data"))


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory, forks) -> str:
    workdir = str(tmp_path_factory.mktemp("resume") / "whole")
    done = forks.start(_command(data, workdir)).done()
    assert done.code == 0, done.stderr[-3000:]
    # TensorFlow reports rewritings of the input under determinism as errors.
    text = done.stdout + done.stderr
    assert not re.search(r"(^|\r|\])[EW]\d{4} ", text, re.MULTILINE), text
    return workdir


@pytest.mark.parametrize(
    ("how", "scratch"), [(signal.SIGKILL, "before"), (signal.SIGTERM, "after")]
)
def test_stopped_and_resumed_run_equals_the_uninterrupted_one(
    how, scratch, data, uninterrupted, tmp_path, forks
):
    workdir, ways = str(tmp_path / "stopped"), _ways(forks, scratch)
    saved = os.path.join(workdir, "checkpoints", "checkpoint")
    ended = _stop(how, saved, ways["before"], _command(data, workdir))
    assert ended == (-9 if how == signal.SIGKILL else 143)
    # Another number of steps a call moves no number.
    command = _command(data, workdir, "--config.train.steps_per_call=7")
    assert ways["after"](command).wait(timeout=300) == 0

    starts = environment.starts(workdir)
    assert [s["step"] for s in starts][0] == 0 and 20 <= starts[1]["step"] < STEPS
    whole, resumed = _state(uninterrupted), _state(workdir)
    assert whole.keys() == resumed.keys() and len(whole) > 40
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    with (
        np.load(os.path.join(uninterrupted, "weights.npz")) as a,
        np.load(os.path.join(workdir, "weights.npz")) as b,
    ):
        assert set(a.files) == set(b.files)
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    text = (tmp_path / "stopped" / "scalars.jsonl").read_text()
    lines = [json.loads(line)["step"] for line in text.splitlines()]
    assert lines == sorted(set(lines)) and lines[-1] == STEPS


def test_another_config_in_the_same_workdir_is_refused(data, uninterrupted, forks):
    done = forks.start(_command(data, uninterrupted, "--config.train.learning_rate=0.5")).done()
    assert done.code == 2 and "Traceback" not in done.stderr
    assert "train.learning_rate=0.002 and this one has 0.5" in done.stderr


PHASES = (
    "--config.train.num_steps=40",
    "--config.train.checkpoint_every=10",
    "--config.train.steps_per_call=5",
    "--config.model.grow_from=28",
    "--config.model.grow_every=4",
)


@pytest.fixture(scope="module")
def two_phases(data, tmp_path_factory, forks) -> str:
    workdir = str(tmp_path_factory.mktemp("phases") / "whole")
    done = forks.start(_command(data, workdir, *PHASES, variant="reweighted")).done()
    assert done.code == 0, done.stderr[-3000:]
    return workdir


@pytest.mark.parametrize(("phase", "scratch"), [("first_phase", "before"), ("", "after")])
def test_a_run_of_two_phases_resumes_in_either(phase, scratch, data, two_phases, tmp_path, forks):
    workdir, ways = str(tmp_path / "stopped"), _ways(forks, scratch)
    saved = os.path.join(workdir, phase, "checkpoints", "checkpoint")
    command = _command(data, workdir, *PHASES, variant="reweighted")
    assert _stop(signal.SIGKILL, saved, ways["before"], command) == -9
    command.append("--config.train.steps_per_call=7")
    assert ways["after"](command).wait(timeout=300) == 0
    for folder in ("first_phase", ""):
        whole = _state(os.path.join(two_phases, folder))
        resumed = _state(os.path.join(workdir, folder))
        assert whole.keys() == resumed.keys() and any("identity" in name for name in whole)
        for name, value in whole.items():
            np.testing.assert_array_equal(resumed[name], value, err_msg=name)


def test_the_second_phase_starts_fresh_with_the_table_of_the_first(two_phases):
    with (
        np.load(os.path.join(two_phases, "first_phase", "weights.npz")) as first,
        np.load(os.path.join(two_phases, "weights.npz")) as second,
    ):
        weight = first["identity/weight"]
        assert 0 < (weight > 0).mean() < 1  # it has grown, and not to all
        np.testing.assert_array_equal(second["identity/weight"], weight)
        assert not np.array_equal(second["classifier/kernel"], first["classifier/kernel"])


def test_a_missing_table_of_weights_is_an_error_and_never_silence(data, tmp_path):
    c = small.config(data)
    c.model.reweighting = "frozen"
    with pytest.raises(registry.UserError, match="tables_from names none"):
        train.train(c, str(tmp_path / "a"))
    c.train.tables_from = str(tmp_path / "nowhere.npz")
    with pytest.raises(registry.UserError, match="nowhere.npz does not exist"):
        train.train(c, str(tmp_path / "b"))
