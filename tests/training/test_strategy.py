"""Which devices a run takes and who writes; two workers that are killed, stopped, and go on."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tfav import registry
from tfav.training import environment, strategy, weights_file

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TWO = {"worker": ["a:1", "b:1"]}


def _tf_config(monkeypatch, cluster, kind="worker", index=0):
    text = json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})
    monkeypatch.setenv("TF_CONFIG", text)


def _of(cluster, kind, index):
    """Returns what stands for a strategy of that worker."""
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster), task_type=kind, task_id=index
    )
    return types.SimpleNamespace(cluster_resolver=resolver)


def test_one_device_and_many_take_the_same_batches_in_order(mirrored):
    def batches(context):
        size = 4 // context.num_replicas_in_sync
        return tf.data.Dataset.range(24).batch(size)

    one = strategy.iterate(tf.distribute.OneDeviceStrategy("/cpu:0"), batches)
    two = strategy.iterate(mirrored, batches)
    for step in range(3):
        rows = mirrored.experimental_local_results(next(two))
        expected = [4 * step, 4 * step + 1, 4 * step + 2, 4 * step + 3]
        assert next(one).numpy().tolist() == np.concatenate(rows).tolist() == expected
    assert isinstance(one, type(iter(tf.data.Dataset.range(1))))  # not a distributed one


@pytest.fixture
def made(monkeypatch):
    """Keeps what would be made of devices and workers that are not here."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    calls = []
    default = tf.distribute.get_strategy()
    for name in ("OneDeviceStrategy", "MirroredStrategy", "MultiWorkerMirroredStrategy"):
        make = lambda *args, name=name: calls.append((name, *args)) or default  # noqa: E731
        monkeypatch.setattr(tf.distribute, name, make)
    return calls


def _devices(monkeypatch, gpus):
    """Has TensorFlow list one CPU and so many GPUs."""

    def listed(kind):
        return [f"/device:{kind}:{i}" for i in range(gpus if kind == "GPU" else 1)]

    monkeypatch.setattr(tf.config, "list_physical_devices", listed)
    named = lambda kind: [types.SimpleNamespace(name=name) for name in listed(kind)]  # noqa: E731
    monkeypatch.setattr(tf.config, "list_logical_devices", named)


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        (0, ("OneDeviceStrategy", "/cpu:0")),
        (1, ("OneDeviceStrategy", "/gpu:0")),
        (12, ("MirroredStrategy", [f"GPU:{i}" for i in range(12)])),
    ],
)
def test_auto_takes_all_gpus_of_the_machine(monkeypatch, made, gpus, expected):
    _devices(monkeypatch, gpus)
    strategy.create("auto")
    assert made == [expected]


def test_auto_takes_all_workers_where_tf_config_names_several(monkeypatch, made):
    _devices(monkeypatch, 0)
    _tf_config(monkeypatch, {"worker": ["a:1"]})
    strategy.create("auto")
    _tf_config(monkeypatch, TWO, index=1)
    strategy.create("auto")
    _tf_config(monkeypatch, {"chief": ["a:1"], "worker": ["b:1"]}, "chief")
    strategy.create("auto")
    assert [name for name, *_ in made] == [
        "OneDeviceStrategy",
        "MultiWorkerMirroredStrategy",
        "MultiWorkerMirroredStrategy",
    ]


def test_multi_worker_without_tf_config_says_what_to_set(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(registry.UserError, match='finds no TF_CONFIG.*"cluster": {"worker"'):
        strategy.create("multi_worker")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": "1"}}',
    ],
)
def test_a_tf_config_that_does_not_name_this_worker_is_quoted(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(registry.UserError, match="does not say who this worker is") as caught:
        strategy.create("multi_worker")
    assert text in str(caught.value)


def test_an_unknown_strategy_names_the_choices():
    with pytest.raises(registry.UserError, match="auto, mirrored, multi_worker, one_device"):
        strategy.create("tpu")


def test_one_process_is_chief_and_one_worker(mirrored):
    for made in (tf.distribute.OneDeviceStrategy("/cpu:0"), mirrored):
        assert strategy.is_chief(made) and strategy.num_workers(made) == 1


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "chief"),
    [
        (TWO, "worker", 0, True),
        (TWO, "worker", 1, False),
        ({"chief": ["a:1"], "worker": ["b:1"]}, "chief", 0, True),
        ({"chief": ["a:1"], "worker": ["b:1"]}, "worker", 0, False),
    ],
)
def test_the_chief_is_the_one_called_so_or_the_first_worker(cluster, kind, index, chief):
    worker = _of(cluster, kind, index)
    assert strategy.is_chief(worker) == chief
    assert strategy.num_workers(worker) == 2


# Two workers ------------------------------------------------------------------------------------

STEPS = 24


def _command(data, workdir):
    return [
        os.path.join(ROOT, "bin", "train.py"),
        f"--config={ROOT}/configs/voice_face.py:demo",
        f"--workdir={workdir}",
        f"--config.data.directory={data}",
        "--config.data.audio_seconds=(0.4, 0.5)",
        "--config.embedding_size=8",
        "--config.image.size=32",
        "--config.train.optimizer=sgd",
        "--config.train.learning_rate=0.002",
        "--config.train.batch_size=8",
        f"--config.train.num_steps={STEPS}",
        "--config.train.steps_per_call=2",
        "--config.train.checkpoint_every=4",
        "--config.train.validate_every=8",
    ]


def _start(command, output, **env):
    """Starts a command from scratch: machines share no seed of hashes, and a fork tells no end."""
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **env}
    with open(output, "w") as f:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=f, stderr=subprocess.STDOUT)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("localhost", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _on_loopback(data, workdir, output):
    """Trains to the end by the script that docs/cluster has for this machine."""
    for _ in range(20):  # the script takes ports that follow each other
        (port,) = free_ports(1)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("localhost", port + 1))
            break
    script = os.path.join(ROOT, "docs", "cluster", "loopback.sh")
    command = [script, sys.executable, *_command(data, workdir)]
    return _start(command, output, NUM_WORKERS="2", PORT=str(port)).wait(timeout=240)


class Pair:
    """Two workers that train into one workdir."""

    def __init__(self, folder, data, workdir):
        self.outputs = [folder / f"worker{i}.txt" for i in range(2)]
        self.addresses = [f"localhost:{port}" for port in free_ports(2)]
        # A beat on a busy machine takes a while; the default is for networks.
        waits = ("--strategy=multi_worker", "--worker_timeout_seconds=15")
        command = [sys.executable, *_command(data, workdir), *waits]
        self.workers = []
        for i, output in enumerate(self.outputs):
            task = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": i}}
            self.workers.append(_start(command, output, TF_CONFIG=json.dumps(task)))
        self._state = workdir / "checkpoints" / "checkpoint"
        self._first = self._latest()

    def text(self, worker):
        return self.outputs[worker].read_text()

    def _latest(self):
        text = self._state.read_text() if self._state.exists() else ""
        return max((int(step) for step in re.findall(r'"ckpt-([0-9]+)"', text)), default=0)

    def wait_for_checkpoint(self):
        """Returns when they have saved one step further than where they began."""
        deadline = time.time() + 240
        try:
            while self._latest() <= self._first:
                codes = [w.poll() for w in self.workers]
                assert codes == [None, None], (codes, self.text(0)[-3000:], self.text(1)[-3000:])
                assert time.time() < deadline, "no checkpoint ever came"
                time.sleep(0.02)
        except BaseException:
            self.end(seconds=0)
            raise

    def end(self, seconds=240):
        try:
            return [w.wait(timeout=seconds) for w in self.workers]
        except subprocess.TimeoutExpired:
            for w in self.workers:
                w.kill()
            return [w.wait() for w in self.workers]


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory, forks):
    """What two workers leave that were killed, then told to stop; and one device's run."""
    folder = tmp_path_factory.mktemp("workers")
    data = small.write_dataset(str(folder / "data"))
    workdir = folder / "two"
    seen = {}
    pair = Pair(folder, data, workdir)
    pair.wait_for_checkpoint()
    pair.workers[1].kill()
    seen["killed"] = pair.end(seconds=120), pair.text(0), pair.addresses[1]
    pair = Pair(folder, data, workdir)
    pair.wait_for_checkpoint()
    pair.workers[1].send_signal(signal.SIGTERM)
    seen["stopped"] = pair.end(), pair.text(0)
    seen["finished"] = _on_loopback(data, workdir, folder / "both.txt"), folder / "both.txt"
    seen["two"] = workdir
    command = [*_command(data, folder / "one"), "--strategy=one_device"]
    single = forks.start(command, stdout=folder / "one.txt", stderr=folder / "one.txt")
    assert single.wait(timeout=240) == 0, (folder / "one.txt").read_text()[-3000:]
    seen["one"] = folder / "one"
    return seen


def test_a_worker_ends_with_a_sentence_when_another_was_killed(two_workers):
    (code, killed), text, address = two_workers["killed"]
    assert killed == -signal.SIGKILL and code == 2, text[-3000:]
    assert f"error: worker 1 ({address}) is gone: start all workers again" in text
    assert "Traceback" not in text


def test_all_workers_stop_at_the_same_step_when_one_is_told_to(two_workers):
    codes, text = two_workers["stopped"]
    assert codes == [0, 0], text[-3000:]
    assert "SIGTERM: saved step" in text


def test_restarted_workers_continue_and_finish(two_workers):
    code, text = two_workers["finished"]
    assert code == 0, text.read_text()[-3000:]
    starts = environment.starts(str(two_workers["two"]))
    steps = [start["step"] for start in starts]
    assert 0 == steps[0] < steps[1] < steps[2] < STEPS
    assert {start["replicas"] for start in starts} == {2}
    lines = (two_workers["two"] / "scalars.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(2, STEPS + 1, 2))


def test_two_workers_end_where_one_device_does(two_workers):
    (one, facts), (two, other) = (
        weights_file.read(str(two_workers[name] / "weights.npz")) for name in ("one", "two")
    )
    assert sorted(one) == sorted(two) and len(one) > 50 and facts["step"] == other["step"]
    for name, value in one.items():
        scale = max(1e-2, np.abs(value).max())
        np.testing.assert_allclose(two[name], value, atol=1e-4 * scale, err_msg=name)


def test_only_the_chief_leaves_files(two_workers):
    left = {key: sorted(os.listdir(two_workers[key])) for key in ("one", "two")}
    assert left["two"] == left["one"]
    assert left["two"] == [
        "checkpoints",
        "config.json",
        "environment.json",
        "scalars.jsonl",
        "tensorboard",
        "weights.npz",
    ]
    names = [n for n in os.listdir(two_workers["two"] / "checkpoints") if n != "checkpoint"]
    assert {n.split(".")[0] for n in names} == {"ckpt-16", "ckpt-20", "ckpt-24"}
    assert len(os.listdir(two_workers["two"] / "tensorboard")) == 3  # one for each start
