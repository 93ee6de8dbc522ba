"""Law: N replicas = 1 replica, on one machine and across processes."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests import small

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _start(
    strategy: str, data: str, output: str, recipe: str, tf_config: dict | None = None
) -> subprocess.Popen:
    env = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    if tf_config:
        env["TF_CONFIG"] = json.dumps(tf_config)
    command = [sys.executable, "-m", "tests.training.steps", strategy, data, output, recipe]
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _finish(process: subprocess.Popen) -> None:
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text[-3000:]


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return s.getsockname()[1]


# `mmcosine` with all that stacks on it: contrastive, blending, gradients modulated with noise.
@pytest.fixture(scope="module", params=["voice_face", "mmcosine"])
def runs(request, tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("replicas")
    data = small.write_dataset(str(folder / "data"))
    for name in ("one_device", "mirrored"):
        _finish(_start(name, data, str(folder / f"{name}.npz"), request.param))
    workers = [f"localhost:{_free_port()}" for _ in range(2)]
    processes = [
        _start(
            "multi_worker",
            data,
            str(folder / f"worker{i}.npz"),
            request.param,
            {"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}},
        )
        for i in range(2)
    ]
    for process in processes:
        _finish(process)
    names = ("one_device", "mirrored", "worker0", "worker1")
    return {name: dict(np.load(folder / f"{name}.npz")) for name in names}


@pytest.mark.parametrize("name", ["mirrored", "worker0", "worker1"])
def test_two_replicas_see_the_loss_of_one(runs, name):
    for key in ("loss", "mean_loss"):
        np.testing.assert_allclose(runs[name][key], runs["one_device"][key], rtol=1e-10)


@pytest.mark.parametrize("name", ["mirrored", "worker0", "worker1"])
def test_two_replicas_sum_to_the_gradients_of_one(runs, name):
    keys = [k for k in runs["one_device"] if k.startswith("gradient:")]
    assert len(keys) > 10
    for key in keys:
        one = runs["one_device"][key]
        np.testing.assert_allclose(
            runs[name][key], one, atol=1e-10 * max(1e-3, np.abs(one).max()), err_msg=key
        )


@pytest.mark.parametrize("name", ["mirrored", "worker0", "worker1"])
def test_ten_steps_end_at_the_same_weights(runs, name):
    keys = [k for k in runs["one_device"] if k.startswith("weight:")]
    moved = 0
    for key in keys:
        one = runs["one_device"][key]
        np.testing.assert_allclose(
            runs[name][key], one, atol=1e-9 * max(1.0, np.abs(one).max()), err_msg=key
        )
        moved += one.std() > 0
    assert moved > 10
