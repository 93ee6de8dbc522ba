"""Two workers on loopback that share the classes, whose data is damaged, and who do not last.

Of one run the first worker hangs, then the second is told to stop, then the script of docs/cluster
finishes it. Of another one nobody is disturbed until the second worker is killed.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tests import forked, small
from tests.training.test_bad_records import BAD, damage
from tfav import scalars
from tfav.experiment import bad_records
from tfav.training import checkpoints, environment, weights_file

STEPS, EVERY = 8, 4  # how far the first start comes at least; steps between two checkpoints
SECONDS = 10  # --worker_timeout_seconds: a beat on a busy machine takes a while
_CONFIG = """import sys
sys.path.insert(0, {root!r})
from tests import small


def get_config(variant=""):
    config = small.config({data!r})
    config.deterministic = True
    config.model.sharded = variant == "sharded"
    config.train.optimizer, config.train.learning_rate = "sgd", 0.002
    config.train.num_steps, config.train.steps_per_call = 100_000, 2
    config.train.checkpoint_every, config.train.validate_every = {every}, 16
    config.data.audio_seconds, config.data.augment = (0.4, 0.5), ("flip", "crop")
    config.data.max_bad_records = 1
    return config
"""


def free_ports(count: int) -> list[int]:
    """Returns ports of this machine that nobody listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("localhost", 0))
        return [s.getsockname()[1] for s in sockets]


class Workers:
    """Two workers that train into one workdir, each a fork.

    Args:
      forks: starts them.
      folder: holds `config.py`, and gets their outputs and the workdir.
      workdir: its name.
    """

    def __init__(self, forks: forked.Server, folder: pathlib.Path, workdir: str):
        self.addresses = [f"localhost:{port}" for port in free_ports(2)]
        self._outputs = [folder / f"worker{i}.txt" for i in range(2)]
        self._log = folder / workdir / "scalars.jsonl"
        self._processes = []
        for i, output in enumerate(self._outputs):
            task = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": i}}
            command = command_of(folder, workdir, ":sharded")
            command += ["--strategy=multi_worker", f"--worker_timeout_seconds={SECONDS}"]
            env = {"TF_CONFIG": json.dumps(task)}
            self._processes.append(forks.start(command, stdout=output, stderr=output, env=env))

    def text(self, worker: int) -> str:
        """Returns what a worker has printed."""
        return self._outputs[worker].read_text()

    def wait_for(self, step: int) -> None:
        """Returns when their log has come to a step."""
        deadline = time.monotonic() + 240
        while scalars.last_step(str(self._log.parent)) < step:
            codes = [process.poll() for process in self._processes]
            assert codes == [None, None], self.text(0)[-3000:] + self.text(1)[-3000:]
            assert time.monotonic() < deadline, "that step never came"
            time.sleep(0.02)

    def send(self, worker: int, number: int) -> None:
        """Sends a worker a signal."""
        self._processes[worker].send_signal(number)

    def end_of(self, worker: int) -> int:
        """Returns how a worker ends."""
        return self._processes[worker].wait(timeout=240)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *failure: object) -> None:
        """Kills what still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait(timeout=60)


def command_of(folder: pathlib.Path, workdir: str, variant: str = "") -> list[str]:
    """Returns the command that trains into a workdir of a folder."""
    binary = os.path.join(forked.ROOT, "bin", "train.py")
    return [binary, f"--config={folder}/config.py{variant}", f"--workdir={folder}/{workdir}"]


def _on_loopback(command: list[str], output: pathlib.Path) -> int:
    """Trains by the script that docs/cluster has for this machine, from scratch; returns its end.

    Other machines share no seed of hashes and no place of a library in memory, as forks do.
    """
    for _ in range(20):  # the script takes ports that follow each other
        (port,) = free_ports(1)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("localhost", port + 1))
            break
    script = os.path.join(forked.ROOT, "docs", "cluster", "loopback.sh")
    its = {"CUDA_VISIBLE_DEVICES": "-1", "NUM_WORKERS": "2", "PORT": str(port)}
    with open(output, "w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [script, sys.executable, *command],
            cwd=forked.ROOT,
            env={**os.environ, **its},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            return process.wait(timeout=240)
        finally:
            process.terminate()  # those that it has started too, where they have not come to an end


@pytest.fixture(scope="module")
def seen(tmp_path_factory, forks):
    """The run `two`, which is started three times, `whole`, which is once, and one device's `one`.

    Of `whole` the last checkpoint is where the two others end.
    """
    folder = tmp_path_factory.mktemp("two_workers")
    # Seven identities train: of the second worker's four columns of classes one is no class.
    data = small.write_dataset(str(folder / "data"), num_identities=13)
    damage(data, BAD)
    (folder / "config.py").write_text(_CONFIG.format(root=forked.ROOT, data=data, every=EVERY))
    found = {"folder": folder}
    with Workers(forks, folder, "two") as workers:
        workers.wait_for(STEPS)
        workers.send(0, signal.SIGSTOP)
        found["hung"] = workers.end_of(1), workers.text(1), workers.addresses[0]
        # Later starts do not say it again, and read what this one wrote.
        found["texts"] = [workers.text(worker) for worker in range(2)]
    with Workers(forks, folder, "two") as workers:
        workers.wait_for(scalars.last_step(str(folder / "two")) + EVERY)
        workers.send(1, signal.SIGTERM)
        found["stopped"] = [workers.end_of(worker) for worker in range(2)], workers.text(0)
    with Workers(forks, folder, "whole") as workers:
        workers.wait_for(checkpoints.saved_steps(folder / "two")[-1] + 4 * EVERY)
        workers.send(1, signal.SIGKILL)
        codes = [workers.end_of(worker) for worker in range(2)]
        found["killed"] = codes, workers.text(0), workers.addresses[1]
    found["steps"] = checkpoints.saved_steps(folder / "whole")[-1]
    steps = f"--config.train.num_steps={found['steps']}"
    command = [*command_of(folder, "two", ":sharded"), steps]
    found["finished"] = _on_loopback(command, folder / "both.txt"), folder / "both.txt"
    done = forks.run("train", *command_of(folder, "one")[1:], steps)
    assert done.code == 0, done.stderr[-3000:]
    return found


def _saved(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns a run's last checkpoint: weights and slots, of all classes."""
    path = f"{workdir}/checkpoints/ckpt-{checkpoints.saved_steps(workdir)[-1]}"
    reader = tf.train.load_checkpoint(path)
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if not n.startswith("_CHECKPOINTABLE")}


def test_a_worker_ends_with_a_sentence_when_the_first_one_hangs(seen):
    code, text, address = seen["hung"]
    assert code == 2, text[-3000:]
    assert f"error: worker 0 ({address}) does not answer: end it if it still runs" in text
    assert "Traceback" not in text


def test_a_worker_ends_with_a_sentence_when_another_was_killed(seen):
    (code, killed), text, address = seen["killed"]
    assert killed == -signal.SIGKILL and code == 2, text[-3000:]
    assert f"error: worker 1 ({address}) is gone: start all workers again" in text
    assert "Traceback" not in text


def test_all_workers_stop_at_the_same_step_when_one_is_told_to(seen):
    codes, text = seen["stopped"]
    assert codes == [0, 0], text[-3000:]
    assert "SIGTERM: saved step" in text


def test_restarted_workers_continue_and_finish(seen):
    code, text = seen["finished"]
    assert code == 0, text.read_text()[-3000:]
    workdir = seen["folder"] / "two"
    starts = environment.starts(str(workdir))
    steps = [start["step"] for start in starts]
    assert len(steps) == 3 and 0 == steps[0] < steps[1] < steps[2] < seen["steps"]
    assert {start["replicas"] for start in starts} == {2}
    lines = (workdir / "scalars.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(2, seen["steps"] + 1, 2))


def test_two_workers_replace_a_bad_record_as_one_device_does(seen):
    one, two = (scalars.read(str(seen["folder"] / run), whole=True) for run in ("one", "two"))
    assert sum(line["replaced"] for line in one) > 0 and len(one) >= STEPS // 2
    for mine, other in zip(two, one):  # the loss too, which hangs on every row of both replicas
        assert mine == pytest.approx(other, rel=1e-4, abs=1e-6)
    lists = [(seen["folder"] / run / bad_records.FILE).read_text() for run in ("one", "two")]
    assert lists[0] == lists[1] and BAD in lists[0]


def test_two_workers_that_share_the_classes_end_where_the_whole_head_does(seen):
    one, two = (_saved(seen["folder"] / run) for run in ("one", "two"))
    assert sum(value.shape == (7, 8) for value in two.values()) == 2  # the classes, their momentum
    names = [name for name in one if name.startswith("weights/")]  # Keras 2 renames slots
    assert len(names) > 50 and len(names) == sum(name.startswith("weights/") for name in two)
    for name in names:
        value = one[name]
        scale = max(1e-2, np.abs(value).max())
        np.testing.assert_allclose(two[name], value, atol=1e-4 * scale, err_msg=name)


def test_two_workers_leave_the_weights_of_one_device(seen):
    (one, facts), (two, other) = (
        weights_file.read(str(seen["folder"] / run / "weights.npz")) for run in ("one", "two")
    )
    assert sorted(one) == sorted(two) and len(one) > 50 and facts["step"] == other["step"]
    for name, value in one.items():
        scale = max(1e-2, np.abs(value).max())
        np.testing.assert_allclose(two[name], value, atol=1e-4 * scale, err_msg=name)


def test_two_workers_that_were_disturbed_end_bit_for_bit_as_if_nobody_had(seen):
    (start,) = environment.starts(str(seen["folder"] / "whole"))
    assert start["step"] == 0
    whole, two = (_saved(seen["folder"] / run) for run in ("whole", "two"))
    assert whole.keys() == two.keys() and len(whole) > 50
    for name, value in whole.items():
        np.testing.assert_array_equal(two[name], value, err_msg=name)


def test_only_the_chief_leaves_files(seen):
    one, two = (seen["folder"] / run for run in ("one", "two"))
    assert sorted(os.listdir(two)) == sorted(os.listdir(one))
    assert sorted(os.listdir(two)) == [
        bad_records.FILE,
        "checkpoints",
        "config.json",
        "environment.json",
        "scalars.jsonl",
        "tensorboard",
        "weights.npz",
    ]
    names = [n for n in os.listdir(two / "checkpoints") if n != "checkpoint"]
    last = [seen["steps"] - back * EVERY for back in range(3)]
    assert {n.split(".")[0] for n in names} == {f"ckpt-{step}" for step in last}
    assert len(os.listdir(two / "tensorboard")) == 3  # one for each start


def test_each_worker_says_which_record_was_replaced(seen):
    said = [re.findall(r"1 bad records were replaced so far .*\.csv", x) for x in seen["texts"]]
    assert len(said[0]) == 1 and said[0] == said[1]
