"""Which processes train together, and which of them are gone."""

import json
import os
import pathlib
import re
import socket
import subprocess
import types

import pytest
import tensorflow as tf

from tfav import compat, registry
from tfav.training import cluster, strategy

ROOT = pathlib.Path(__file__).parent.parent.parent
SLURM = {
    "SLURM_JOB_ID": "2801",
    "SLURM_PROCID": "2",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "node[2,10]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
}


@pytest.fixture
def alone(monkeypatch):
    """Sets an environment that tells of no other process, but for what a test adds."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)

    def add(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return add


def test_nothing_tells_of_others(alone):
    assert cluster.find() is None
    with pytest.raises(registry.UserError, match="no TF_CONFIG in the environment and no Slurm st"):
        cluster.required()


def test_the_tasks_of_a_slurm_step_stand_in_the_order_of_their_numbers(alone):
    alone(SLURM)
    found = cluster.find()
    # Job 2801 is the second of every 2800; node10 follows node2, as Slurm numbers them.
    assert found.jobs == {"worker": ["node2:10008", "node2:10009", "node10:10008", "node10:10009"]}
    assert (found.kind, found.index, found.source, found.size) == ("worker", 2, "Slurm", 4)


def test_tf_config_comes_before_slurm(alone):
    task = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    alone({**SLURM, "TF_CONFIG": json.dumps(task)})
    jobs = {"worker": ["a:1", "b:1"]}
    assert cluster.find() == cluster.Cluster(jobs, "worker", 1, "TF_CONFIG")


@pytest.mark.parametrize(
    "name, value",
    [
        ("SLURM_STEP_NODELIST", "node["),
        ("SLURM_STEP_TASKS_PER_NODE", "three"),
        ("SLURM_STEP_NUM_TASKS", "7"),
        ("SLURM_PROCID", "4"),
    ],
)
def test_variables_of_slurm_that_do_not_fit_are_one_sentence(alone, name, value):
    alone({**SLURM, name: value})
    with pytest.raises(registry.UserError, match="do not fit together .*: start .* by srun"):
        cluster.find()


def test_slurm_makes_a_strategy_with_the_gpus_that_it_shows(alone, monkeypatch):
    alone(SLURM)
    made = []
    default = tf.distribute.get_strategy()
    monkeypatch.setattr(
        tf.distribute,
        "MultiWorkerMirroredStrategy",
        lambda cluster_resolver: made.append(cluster_resolver) or default,
    )
    watched = []
    monkeypatch.setattr(compat, "watch_workers", lambda jobs, seconds: watched.append(seconds))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU:0"])
    strategy.create("multi_worker", worker_timeout_seconds=20.0, expect_gpus=1)
    (resolver,) = made
    assert resolver.task_type == "worker" and resolver.task_id == 2 and watched == [20.0]
    assert resolver.cluster_spec().as_dict()["worker"][2] == "node10:10008"
    assert resolver.num_accelerators() == {"GPU": 1}
    made.clear()
    strategy.create("auto")  # which Slurm alone does not turn into many processes
    assert not made


def test_another_number_of_gpus_than_expected_is_refused(alone, monkeypatch):
    listed = types.SimpleNamespace(gpus=3)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [0] * listed.gpus)
    with pytest.raises(registry.UserError, match="--expect_gpus=8 and TensorFlow sees 3 here: "):
        strategy.create("auto", expect_gpus=8)
    listed.gpus = 0
    strategy.create("one_device", expect_gpus=0)


def test_a_timeout_that_is_none_is_refused(alone):
    with pytest.raises(registry.UserError, match="--worker_timeout_seconds=0: give 1 second or"):
        strategy.create("one_device", worker_timeout_seconds=0.0)


AGAIN = "start all workers again with the same commands, and they continue from the last checkpoint"
BEAT = "Collective ops is aborted by: Deadline Exceeded\n\nRPC: /tensorflow.CoordinationService/"
MISSING = "unhealthy (stopped sending heartbeats):\n/job:worker/replica:0/task:1\n"


@pytest.fixture
def three(alone):
    """This process is worker 0, 1 takes connections, 2 does not."""
    with socket.socket() as listening, socket.socket() as closed:
        listening.bind(("localhost", 0))
        listening.listen()
        closed.bind(("localhost", 0))  # and does not listen
        first, second = (f"localhost:{s.getsockname()[1]}" for s in (listening, closed))

        def tell(workers=("localhost:1", first, second), index=0):
            task = {"type": "worker", "index": index}
            cluster = {"cluster": {"worker": workers}, "task": task}
            alone({"TF_CONFIG": json.dumps(cluster)})

        tell()
        yield first, second, tell


def test_the_workers_that_refuse_a_connection_are_gone_else_those_of_the_message(three):
    first, second, tell = three
    assert cluster.loss("a message") == f"worker 2 ({second}) is gone: {AGAIN}."
    tell(["localhost:1", first])
    named = "reset by /job:worker/replica:0/task:1 and /job:worker/replica:0/task:0"
    said = f"worker 1 ({first}) does not answer: end it if it still runs, {AGAIN}."
    assert cluster.loss(named) == said  # it is not this process itself
    assert cluster.loss("a message") == f"another worker is gone: {AGAIN}."


def test_one_whose_beat_is_missing_is_named_before_those_that_have_ended_for_it(three):
    first, second, tell = three
    assert cluster.loss(MISSING).startswith(f"worker 1 ({first}) does not answer: end it if it")
    assert cluster.loss(MISSING.replace("task:1", "task:2")).startswith(f"worker 2 ({second}) is g")
    tell([first, "localhost:1", second], index=1)  # the one that all others beat to
    assert cluster.loss(f"{BEAT}Heartbeat").startswith(f"worker 0 ({first}) does not answer")


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        (tf.errors.UnavailableError, "reset", True),
        (tf.errors.DeadlineExceededError, f"{BEAT}Heartbeat", True),
        (tf.errors.DeadlineExceededError, "a slow disk", False),
        (tf.errors.InternalError, f"{BEAT}Heartbeat", False),
    ],
)
def test_which_errors_come_of_a_lost_worker(kind, message, expected):
    assert cluster.is_loss(kind(None, None, message)) == expected


# The launch files -------------------------------------------------------------------------------


def test_the_manifest_for_kubernetes_has_the_fields_of_its_kinds():
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all((ROOT / "docs" / "cluster" / "train.yaml").read_text())
    assert (service["kind"], service["apiVersion"]) == ("Service", "v1")
    assert (job["kind"], job["apiVersion"]) == ("Job", "batch/v1")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    # The name of a pod is JOB-INDEX, below the service's name, where the pod names it.
    assert service["spec"]["clusterIP"] == "None"
    assert service["metadata"]["name"] == pod["subdomain"] == job["metadata"]["name"] == "tfav"
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert job["spec"]["completionMode"] == "Indexed" and pod["restartPolicy"] == "OnFailure"
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    assert int(values["WORKERS"]) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert container["ports"] == [{"containerPort": 2222}]
    (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
    assert mount["name"] == volume["name"]


def test_the_manifest_for_kubernetes_fits_its_schema():
    yaml, validate = map(pytest.importorskip, ("yaml", "kubernetes_validate"))
    for manifest in yaml.safe_load_all((ROOT / "docs" / "cluster" / "train.yaml").read_text()):
        validate.validate(manifest, validate.latest_version(), strict=True)


def _run(script, folder, environment, **commands):
    """Runs a script of bash with made-up commands, each a script of its own, in front of all."""
    for name, text in commands.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    env = {**os.environ, **environment, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("saved, code", [("ckpt-10000.index", 0), ("ckpt-500.index", 1)])
def test_a_pod_tells_its_worker_who_it_is_and_fails_before_the_last_step(tmp_path, saved, code):
    yaml = pytest.importorskip("yaml")
    _, job = yaml.safe_load_all((ROOT / "docs" / "cluster" / "train.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    script = container["args"][0].replace("/shared", str(tmp_path / "shared"))
    folder = tmp_path / "shared" / "runs" / "mine" / "checkpoints"
    train = f'echo "$TF_CONFIG"; mkdir -p {folder}; touch {folder}/{saved}'
    done = _run(script, tmp_path, {**values, "JOB_COMPLETION_INDEX": "3"}, tfav_train=train)
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout) == {
        "cluster": {"worker": [f"tfav-{i}.tfav:2222" for i in range(4)]},
        "task": {"type": "worker", "index": 3},
    }
    failed = _run(script, tmp_path, {**values, "JOB_COMPLETION_INDEX": "3"}, tfav_train="exit 2")
    assert failed.returncode == 2


@pytest.mark.parametrize("saved, requeued", [("ckpt-10000.index", ""), ("ckpt-500.index", "yes")])
def test_a_slurm_job_is_queued_again_before_the_last_step(tmp_path, saved, requeued):
    script = (ROOT / "docs" / "cluster" / "train.sbatch").read_text()
    script = script.replace("/SHARED", str(tmp_path / "shared"))
    folder = tmp_path / "shared" / "runs" / "mine" / "checkpoints"
    made_up = {
        "srun": f'echo "$@"; mkdir -p {folder}; touch {folder}/{saved}',
        "scontrol": f"echo $2 > {tmp_path}/requeued; echo yes",
    }
    done = _run(script, tmp_path, {"SLURM_JOB_ID": "77"}, **made_up)
    assert done.returncode == 0, done.stderr
    assert ("yes" in done.stdout) == bool(requeued)
    assert "tfav-train --config=configs/voice_face.py:demo" in done.stdout
    failed = _run(script, tmp_path, {"SLURM_JOB_ID": "77"}, **made_up | {"srun": "exit 2"})
    assert failed.returncode == 2 and "yes" not in failed.stdout


def test_launch_files_name_flags_that_there_are():
    known = (ROOT / "bin" / "train.py").read_text()
    for name in ("train.sbatch", "train.yaml", "loopback.sh"):
        text = (ROOT / "docs" / "cluster" / name).read_text()
        command = text[text.index("tfav-train") :]
        for flag in set(re.findall(r" --([a-z_]+)[= ]", command)) - {"kill"}:
            assert f'"{flag}"' in known, (name, flag)
