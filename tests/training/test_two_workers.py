"""Two workers on loopback that share the classes, whose data is damaged, and of whom one hangs."""

import json
import os
import pathlib
import re
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from tests import forked, small
from tests.training.test_bad_records import BAD, damage
from tests.training.test_strategy import free_ports
from tfav import scalars
from tfav.experiment import bad_records
from tfav.training import checkpoints, environment

STEPS = 8
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
    config.train.checkpoint_every = 4
    config.data.max_bad_records = 1
    return config
"""


class Workers:
    """Two workers that train into one workdir, each a fork.

    Args:
      forks: starts them.
      folder: holds `config.py`, and gets their outputs and the workdir.
      workdir: its name.
      more: further flags.
    """

    def __init__(self, forks: forked.Server, folder: pathlib.Path, workdir: str, *more: str):
        self.addresses = [f"localhost:{port}" for port in free_ports(2)]
        self._outputs = [folder / f"worker{i}.txt" for i in range(2)]
        self._log = folder / workdir / "scalars.jsonl"
        self._processes = []
        for i, output in enumerate(self._outputs):
            task = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": i}}
            command = command_of(folder, workdir, ":sharded")
            command += ["--strategy=multi_worker", f"--worker_timeout_seconds={SECONDS}", *more]
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
            time.sleep(0.1)

    def hang(self, worker: int) -> int:
        """Stops a worker, and returns how the other one ends."""
        os.kill(self._processes[worker].pid, signal.SIGSTOP)
        return self._processes[1 - worker].wait(timeout=240)

    def finish(self) -> list[int]:
        """Returns how they end."""
        return [process.wait(timeout=240) for process in self._processes]

    def end(self) -> None:
        """Kills what still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait(timeout=60)


def command_of(folder: pathlib.Path, workdir: str, variant: str = "") -> list[str]:
    """Returns the command that trains into a workdir of a folder."""
    binary = os.path.join(forked.ROOT, "bin", "train.py")
    return [binary, f"--config={folder}/config.py{variant}", f"--workdir={folder}/{workdir}"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory, forks):
    """A run of two workers of whom the second hangs, then the first, and then both are killed.

    Also a run of two workers to their last checkpoint that nobody stopped, and one device's run.
    """
    folder = tmp_path_factory.mktemp("two_workers")
    # Seven identities train: of the second worker's four columns of classes one is no class.
    data = small.write_dataset(str(folder / "data"), num_identities=13)
    damage(data, BAD)
    (folder / "config.py").write_text(_CONFIG.format(root=forked.ROOT, data=data))
    found = {"folder": folder}
    for hung in (1, 0):
        workers = Workers(forks, folder, "two")
        try:
            first = scalars.last_step(str(folder / "two")) if hung == 0 else 0
            workers.wait_for(first + STEPS)
            # An earlier start has said it, and later ones read what it wrote.
            found.setdefault("texts", [workers.text(worker) for worker in range(2)])
            code = workers.hang(hung)
            found[hung] = code, workers.text(1 - hung), workers.addresses[hung]
        finally:
            workers.end()
    steps = f"--config.train.num_steps={checkpoints.saved_steps(folder / 'two')[-1]}"
    whole = Workers(forks, folder, "whole", steps)
    try:
        assert whole.finish() == [0, 0], whole.text(0)[-3000:] + whole.text(1)[-3000:]
    finally:
        whole.end()
    done = forks.run("train", *command_of(folder, "one")[1:], steps)
    assert done.code == 0, done.stderr[-3000:]
    return found


def _saved(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns a run's last checkpoint: weights and slots, of all classes."""
    path = f"{workdir}/checkpoints/ckpt-{checkpoints.saved_steps(workdir)[-1]}"
    reader = tf.train.load_checkpoint(path)
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if not n.startswith("_CHECKPOINTABLE")}


@pytest.mark.parametrize("hung", [1, 0])
def test_a_worker_ends_with_a_sentence_when_the_other_one_hangs(seen, hung):
    code, text, address = seen[hung]
    assert code == 2, text[-3000:]
    assert f"error: worker {hung} ({address}) does not answer: end it if it still runs" in text
    assert "Traceback" not in text


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


def test_two_workers_that_were_killed_end_bit_for_bit_as_if_nobody_had(seen):
    steps = [start["step"] for start in environment.starts(str(seen["folder"] / "two"))]
    assert len(steps) == 2 and 0 == steps[0] < steps[1]
    whole, two = (_saved(seen["folder"] / run) for run in ("whole", "two"))
    assert whole.keys() == two.keys() and len(whole) > 50
    for name, value in whole.items():
        np.testing.assert_array_equal(two[name], value, err_msg=name)


def test_each_worker_says_which_record_was_replaced(seen):
    said = [re.findall(r"1 bad records were replaced so far .*\.csv", x) for x in seen["texts"]]
    assert len(said[0]) == 1 and said[0] == said[1]
