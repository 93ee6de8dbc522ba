"""Law: N replicas = 1 replica, on one machine and across processes."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests import forked, small

MODULE = "tests.training.steps"


def _finish(process: subprocess.Popen | forked.Process, output: pathlib.Path) -> None:
    assert process.wait(timeout=300) == 0, output.read_text()[-3000:]


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return s.getsockname()[1]


# `mmcosine` with all that stacks on it: contrastive, blending, gradients modulated with noise.
@pytest.fixture(scope="module", params=["voice_face", "mmcosine"])
def runs(request, tmp_path_factory, forks) -> dict[str, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("replicas")
    data = small.write_dataset(str(folder / "data"))

    def command(strategy, name):
        return ["-m", MODULE, strategy, data, str(folder / f"{name}.npz"), request.param]

    for name in ("one_device", "mirrored"):
        text = folder / f"{name}.txt"
        _finish(forks.start(command(name, name), stdout=text, stderr=text), text)
    workers = [f"localhost:{_free_port()}" for _ in range(2)]
    processes = {}
    for i in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}}
        # From scratch: machines share no seed of hashes, and a fork does not tell that it goes.
        with open(folder / f"worker{i}.txt", "w") as file:
            processes[f"worker{i}"] = subprocess.Popen(
                [sys.executable, *command("multi_worker", f"worker{i}")],
                cwd=forked.ROOT,
                env={**os.environ, "TF_CONFIG": json.dumps(task)},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
    for name, process in processes.items():
        _finish(process, folder / f"{name}.txt")
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
