"""Law: N replicas = 1 replica, on one machine and across processes."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests import forked, small
from tests.training import matrix

MODULE = "tests.training.steps"


def _finish(process: subprocess.Popen | forked.Process, output: pathlib.Path) -> None:
    assert process.wait(timeout=300) == 0, output.read_text()[-3000:]


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return s.getsockname()[1]


def _free_job(step: dict[str, str], num_workers: int) -> None:
    """Sets the number of a Slurm job whose ports are free."""
    for job in range(2800):
        port = 10_000 + 8 * job
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for i in range(num_workers):
                stack.enter_context(socket.socket()).bind(("localhost", port + i))
            step["SLURM_JOB_ID"] = str(job)
            return
    raise OSError("no ports are free")


def _environments(how: str, num_workers: int) -> list[dict[str, str]]:
    """Returns what each worker finds in its environment: TF_CONFIG, or what Slurm would set."""
    if how == "slurm":
        step = {
            "SLURM_STEP_NUM_TASKS": str(num_workers),
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_STEP_TASKS_PER_NODE": str(num_workers),
        }
        _free_job(step, num_workers)
        return [{**step, "SLURM_PROCID": str(i)} for i in range(num_workers)]
    workers = [f"localhost:{_free_port()}" for _ in range(num_workers)]
    tasks = [{"type": "worker", "index": i} for i in range(num_workers)]
    return [{"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": t})} for t in tasks]


# How the processes are told of each other, how many they are, and whether each is from scratch:
# machines share no seed of hashes, which forks do. Two of each, and four by `make matrix`.
# `mmcosine` with all that stacks on it: contrastive, blending, gradients modulated with noise.
HOW = {
    "voice_face": ("TF_CONFIG", 2, matrix.FULL),
    "mmcosine": ("slurm", 4 if matrix.FULL else 2, True),
}
# Two replicas of one process, by `make matrix`. Of these one step of every recipe has
# conformance/test_recipes.py, one of every encoder test_encoders.py, ten of heads and states
# test_replica_matrix.py.
MIRRORED = HOW if matrix.FULL else ()


@pytest.fixture(scope="module", params=HOW)
def runs(request, tmp_path_factory, forks) -> dict[str, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("replicas")
    data = small.write_dataset(str(folder / "data"))

    def command(strategy, name):
        return ["-m", MODULE, strategy, data, str(folder / f"{name}.npz"), request.param]

    alone = ["one_device", *(["mirrored"] if request.param in MIRRORED else [])]
    for name in alone:
        text = folder / f"{name}.txt"
        _finish(forks.start(command(name, name), stdout=text, stderr=text), text)
    how, num_workers, scratch = HOW[request.param]
    processes = {}
    for i, found in enumerate(_environments(how, num_workers)):
        name, text = f"worker{i}", folder / f"worker{i}.txt"
        its = command("multi_worker", name)
        if not scratch:
            processes[name] = forks.start(its, stdout=text, stderr=text, env=found)
            continue
        with open(text, "w") as file:
            processes[name] = subprocess.Popen(
                [sys.executable, *its],
                cwd=forked.ROOT,
                env={**os.environ, **found},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
    for name, process in processes.items():
        _finish(process, folder / f"{name}.txt")
    names = (*alone, *processes)
    assert len(names) == len(alone) + num_workers
    return {name: dict(np.load(folder / f"{name}.npz")) for name in names}


def test_several_replicas_see_the_loss_of_one(runs):
    one = runs["one_device"]
    assert len(runs) >= 3
    for run in runs.values():
        for key in ("loss", "mean_loss"):
            np.testing.assert_allclose(run[key], one[key], rtol=1e-10)


def test_several_replicas_sum_to_the_gradients_of_one(runs):
    keys = [k for k in runs["one_device"] if k.startswith("gradient:")]
    assert len(keys) > 10
    for key in keys:
        one = runs["one_device"][key]
        for run in runs.values():
            atol = 1e-10 * max(1e-3, np.abs(one).max())
            np.testing.assert_allclose(run[key], one, atol=atol, err_msg=key)


def test_ten_steps_end_at_the_same_weights(runs):
    keys = [k for k in runs["one_device"] if k.startswith("weight:")]
    moved = 0
    for key in keys:
        one = runs["one_device"][key]
        for run in runs.values():
            atol = 1e-9 * max(1.0, np.abs(one).max())
            np.testing.assert_allclose(run[key], one, atol=atol, err_msg=key)
        moved += one.std() > 0
    assert moved > 10
