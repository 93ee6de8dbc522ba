"""Which devices a run takes and who writes."""

import json
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from tfav import registry
from tfav.training import strategy

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


def test_threads_of_an_operation_are_set_before_tensorflow_computes_and_not_after():
    code = """
from tfav.training import strategy
import tensorflow as tf
strategy.set_intra_op_threads(2)
strategy.set_intra_op_threads(1)
tf.constant(1.0) + 1.0
strategy.set_intra_op_threads(1)
strategy.set_intra_op_threads(0)
strategy.set_intra_op_threads(2)
print(tf.config.threading.get_intra_op_parallelism_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]
    assert done.stderr.count("comes too late") == 2
    for number in (0, 2):
        assert f"--config.train.intra_op_threads={number} comes too late" in done.stderr


def test_threads_that_tensorflow_has_already_are_no_reason_to_warn(caplog):
    tf.constant(1.0) + 1.0
    assert tf.config.threading.get_intra_op_parallelism_threads() == 0
    strategy.set_intra_op_threads(0)
    assert not caplog.records
    strategy.set_intra_op_threads(3)
    assert "intra_op_threads=3 comes too late" in caplog.text


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
