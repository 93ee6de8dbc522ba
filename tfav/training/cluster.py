"""Which processes train together, as TF_CONFIG or Slurm tells, and which of them are gone."""

import dataclasses
import json
import os
import re
import socket
from collections.abc import Mapping

import tensorflow as tf

from tfav import registry

_EXAMPLE = '{"cluster": {"worker": ["host:port"]}, "task": {"type": "worker", "index": 0}}'
_PROBE_SECONDS = 2.0
_BEAT = "CoordinationService/Heartbeat"  # how a worker beats to the first one


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a training.

    Attributes:
      jobs: `chief` and `worker` to the addresses of their tasks, in order.
      kind: of this process.
      index: of this process among its kind.
      source: who told: `TF_CONFIG` or `Slurm`.
    """

    jobs: Mapping[str, list[str]]
    kind: str
    index: int
    source: str

    @property
    def size(self) -> int:
        """Returns how many processes there are."""
        return sum(map(len, self.jobs.values()))


def find() -> Cluster | None:
    """Returns the processes that train together; None where nothing tells of any.

    Raises:
      UserError: what tells of them does not say which one this is.
    """
    return from_tf_config() or from_slurm()


def from_tf_config() -> Cluster | None:
    """Returns the cluster that TF_CONFIG names; None without it.

    Raises:
      UserError: it does not say which of the processes this is.
    """
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        found = json.loads(text)
        cluster, task = found.get("cluster", {}), found.get("task", {})
        jobs = {kind: list(cluster[kind]) for kind in ("chief", "worker") if cluster.get(kind)}
        if not cluster:
            return None
        jobs[task["type"]][task["index"]]  # noqa: B018 (this process's own address)
        return Cluster(jobs, task["type"], task["index"], "TF_CONFIG")
    except (ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise registry.UserError(
            f"TF_CONFIG={text} does not say who this worker is: set it like {_EXAMPLE}."
        ) from error


def from_slurm() -> Cluster | None:
    """Returns the tasks of the Slurm step that this process belongs to; None outside of one.

    Tasks are numbered node by node, as `srun` does unless it is told `--distribution=cyclic`. Each
    has a port of its own, see `slurm_port`. The GPUs of a task are those that Slurm shows it
    (`--gpus-per-task`).

    Raises:
      UserError: the variables of Slurm do not fit together.
    """
    rank = os.environ.get("SLURM_PROCID")
    if rank is None or "SLURM_STEP_NODELIST" not in os.environ:
        return None
    try:
        # A GPU per task and none set: TensorFlow's resolver cannot do without a number of them.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=slurm_port(), gpus_per_node=4096, gpus_per_task=1, auto_set_gpu=False
        )
        # It sorts hosts as texts, node10 before node2, and Slurm numbers its tasks by number.
        addresses = sorted(resolver.cluster_spec().as_dict()["worker"], key=_by_number)
        addresses[int(rank)]  # noqa: B018 (this process's own address)
        return Cluster({"worker": addresses}, "worker", int(rank), "Slurm")
    except (RuntimeError, ValueError, KeyError, IndexError, AssertionError) as error:
        raise registry.UserError(
            f"SLURM_PROCID={rank} and the other variables of this Slurm step do not fit together "
            f"({error}): start the training by srun, or set TF_CONFIG to {_EXAMPLE}."
        ) from error


def slurm_port() -> int:
    """Returns the port of the first task on every node; the others there have the next ones.

    It follows from the number of the job, so that two jobs can share a node, and lies below those
    that Linux gives to outgoing connections.
    """
    return 10_000 + 8 * (int(os.environ.get("SLURM_JOB_ID", "0")) % 2800)


def _by_number(address: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", address)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]


def required() -> Cluster:
    """Returns the processes that train together.

    Raises:
      UserError: nothing tells of any.
    """
    found = find()
    if found is None:
        raise registry.UserError(
            "--strategy=multi_worker finds no TF_CONFIG in the environment and no Slurm step: set "
            f"it on every worker to {_EXAMPLE}, or start the workers by srun."
        )
    return found


def is_loss(error: Exception) -> bool:
    """Says whether an error of TensorFlow comes of another worker that is gone or hangs."""
    if isinstance(error, tf.errors.DeadlineExceededError):  # the one that all others beat to hangs
        return _BEAT in error.message
    return isinstance(error, tf.errors.UnavailableError)


def loss(message: str) -> str:
    """Returns a sentence that names which other workers are gone or hang.

    Those whose beat is missing, else those that refuse a connection, else those of the message.

    Args:
      message: of the error by which this process noticed.
    """
    again = "start all workers again with the same commands, and they continue from the last"
    again += " checkpoint."
    try:
        found = find()
    except registry.UserError:
        found = None
    if found is None:
        return f"another worker is gone: {again}"
    others = {
        (kind, index): address
        for kind, addresses in found.jobs.items()
        for index, address in enumerate(addresses)
        if (kind, index) != (found.kind, found.index)
    }
    named = {(k, int(i)) for k, i in re.findall(r"/job:(\w+)/replica:\d+/task:(\d+)", message)}
    if _BEAT in message:
        named = {("chief" if "chief" in found.jobs else "worker", 0)}
    named &= others.keys()
    silent = {task for task, address in others.items() if not _answers(address)}
    if not (named and "heartbeat" in message.lower()):
        named = silent or named
    names = [f"{kind} {index} ({others[kind, index]})" for kind, index in sorted(named)]
    if not names or named <= silent:
        return f"{' and '.join(names) or 'another worker'} is gone: {again}"
    return f"{' and '.join(names)} does not answer: end it if it still runs, {again}"


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True
