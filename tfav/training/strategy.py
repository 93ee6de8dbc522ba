"""Where a run computes: one device, all devices of a machine, or several machines."""

import json
import os

import tensorflow as tf

from tfav import registry


def _num_workers() -> int:
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    return len(cluster.get("worker", [])) + len(cluster.get("chief", []))


def _one_device() -> tf.distribute.Strategy:
    device = "/gpu:0" if tf.config.list_physical_devices("GPU") else "/cpu:0"
    return tf.distribute.OneDeviceStrategy(device)


def _mirrored() -> tf.distribute.Strategy:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy(
        [f"{kind}:{d.name[-1]}" for d in tf.config.list_logical_devices(kind)]
    )


def _multi_worker() -> tf.distribute.Strategy:
    if not _num_workers():
        raise registry.UserError(
            "--strategy=multi_worker finds no TF_CONFIG in the environment: set it on every worker "
            'to {"cluster": {"worker": ["host:port"]}, "task": {"type": "worker", "index": 0}}.'
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
    return registry.lookup(STRATEGIES, name, "--strategy")()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Says whether this process writes the files that all workers share."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)
