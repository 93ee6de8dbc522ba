"""Where a run computes: one device, all devices of a machine, or several machines."""

import json
import os
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfav import registry

_EXAMPLE = '{"cluster": {"worker": ["host:port"]}, "task": {"type": "worker", "index": 0}}'


def _num_workers() -> int:
    """Returns how many workers TF_CONFIG names; 0 without it."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        found = json.loads(text)
        cluster, task = found.get("cluster", {}), found.get("task", {})
        workers = {kind: cluster.get(kind, []) for kind in ("chief", "worker")}
        if cluster:
            workers[task["type"]][task["index"]]  # noqa: B018 (this process's own address)
        return sum(map(len, workers.values()))
    except (ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise registry.UserError(
            f"TF_CONFIG={text} does not say who this worker is: set it like {_EXAMPLE}."
        ) from error


def _one_device() -> tf.distribute.Strategy:
    device = "/gpu:0" if tf.config.list_physical_devices("GPU") else "/cpu:0"
    return tf.distribute.OneDeviceStrategy(device)


def _mirrored() -> tf.distribute.Strategy:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy(
        [f"{kind}:{d.name.rsplit(':', 1)[-1]}" for d in tf.config.list_logical_devices(kind)]
    )


def _multi_worker() -> tf.distribute.Strategy:
    if not _num_workers():
        raise registry.UserError(
            "--strategy=multi_worker finds no TF_CONFIG in the environment: set it on every worker "
            f"to {_EXAMPLE}."
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def _auto() -> tf.distribute.Strategy:
    if _num_workers() > 1:
        return _multi_worker()
    return _mirrored() if len(tf.config.list_physical_devices("GPU")) > 1 else _one_device()


STRATEGIES = {
    "auto": _auto,
    "one_device": _one_device,
    "mirrored": _mirrored,
    "multi_worker": _multi_worker,
}


def create(name: str) -> tf.distribute.Strategy:
    """Returns the strategy called `name`. Call before anything else makes a tensor or a data set.

    Raises:
      UserError: unknown name, or `multi_worker` without TF_CONFIG.
    """
    made = registry.lookup(STRATEGIES, name, "--strategy", registry.function())()
    return registry.checked(made, f"--strategy={name}", tf.distribute.Strategy)


def iterate(
    strategy: tf.distribute.Strategy,
    batches: Callable[[tf.distribute.InputContext | None], tf.data.Dataset],
) -> Iterator:
    """Returns an iterator of what each step of a strategy takes, for `next` in a `tf.function`.

    On a single processor it is the data set's own: what hands batches on to devices takes a quarter
    of a millisecond for each, half of a small net's step.

    Args:
      strategy: where the replicas run.
      batches: as `distribute_datasets_from_function` takes it.
    """
    devices = strategy.extended.worker_devices
    if isinstance(strategy, tf.distribute.OneDeviceStrategy) and "CPU" in devices[0].upper():
        return iter(batches(tf.distribute.InputContext()))
    return iter(strategy.distribute_datasets_from_function(batches))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Says whether this process writes the files that all workers share."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Returns how many processes train together."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return 1
    jobs = resolver.cluster_spec().as_dict()
    return sum(len(jobs.get(kind, [])) for kind in ("chief", "worker"))
