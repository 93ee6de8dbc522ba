"""Where a run computes: one device, all devices of a machine, or several machines."""

from collections.abc import Callable, Iterator

import tensorflow as tf
from absl import logging

from tfav import compat, registry
from tfav.data.input import batches as batches_lib
from tfav.training import cluster

WORKER_TIMEOUT_SECONDS = 60.0


def _one_device() -> tf.distribute.Strategy:
    device = "/gpu:0" if tf.config.list_physical_devices("GPU") else "/cpu:0"
    return tf.distribute.OneDeviceStrategy(device)


def _mirrored() -> tf.distribute.Strategy:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy(
        [f"{kind}:{d.name.rsplit(':', 1)[-1]}" for d in tf.config.list_logical_devices(kind)]
    )


def _multi_worker() -> tf.distribute.Strategy:
    found = cluster.required()
    if found.source == "TF_CONFIG":
        return tf.distribute.MultiWorkerMirroredStrategy()
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(found.jobs),
        task_type=found.kind,
        task_id=found.index,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def _auto() -> tf.distribute.Strategy:
    found = cluster.from_tf_config()
    if found and found.size > 1:
        return _multi_worker()
    return _mirrored() if len(tf.config.list_physical_devices("GPU")) > 1 else _one_device()


STRATEGIES = {
    "auto": _auto,
    "one_device": _one_device,
    "mirrored": _mirrored,
    "multi_worker": _multi_worker,
}


def create(
    name: str,
    *,
    worker_timeout_seconds: float = WORKER_TIMEOUT_SECONDS,
    expect_gpus: int | None = None,
) -> tf.distribute.Strategy:
    """Returns the strategy called `name`. Call before anything else makes a tensor or a data set.

    Args:
      name: a row of `STRATEGIES` or a dotted path.
      worker_timeout_seconds: Time after which a worker that is silent counts as gone.
      expect_gpus: Number of GPUs that this process must see; None: any.

    Raises:
      UserError: unknown name, `multi_worker` where nothing tells of workers, a time that is none,
        or another number of GPUs.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    if expect_gpus is not None and gpus != expect_gpus:
        raise registry.UserError(
            f"--expect_gpus={expect_gpus} and TensorFlow sees {gpus} here: look at the driver and "
            "CUDA_VISIBLE_DEVICES, install the extra gpu, or give the number that there is."
        )
    if not worker_timeout_seconds >= 1:
        raise registry.UserError(
            f"--worker_timeout_seconds={worker_timeout_seconds:g}: give 1 second or more."
        )
    found = cluster.find() if name == "multi_worker" else cluster.from_tf_config()
    if found and found.size > 1:
        compat.watch_workers(found.jobs, worker_timeout_seconds)
    made = registry.lookup(STRATEGIES, name, "--strategy", registry.function())()
    return registry.checked(made, f"--strategy={name}", tf.distribute.Strategy)


def set_intra_op_threads(number: int) -> None:
    """Sets how many threads share one operation on the CPU; call before TensorFlow computes.

    Where it does already they stay as they are, and a warning says so.

    Args:
      number: of threads; 0: as TensorFlow or `TF_NUM_INTRAOP_THREADS` has it.
    """
    if number == tf.config.threading.get_intra_op_parallelism_threads():
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(number)
    except RuntimeError:
        logging.warning(
            "--config.train.intra_op_threads=%d comes too late, as TensorFlow runs already in this "
            "process: train in a process of its own, or set TF_NUM_INTRAOP_THREADS=%d before it.",
            number,
            number,
        )


def iterate(
    strategy: tf.distribute.Strategy,
    batches: Callable[[tf.distribute.InputContext | None], tf.data.Dataset],
) -> Iterator:
    """Returns an iterator of what each step of a strategy takes, for `next` in a `tf.function`.

    On a single processor it is the data set's own: what hands batches on to devices takes a quarter
    of a millisecond for each, half of a small net's step. Vectors in memory need no data set there.

    Args:
      strategy: where the replicas run.
      batches: as `distribute_datasets_from_function` takes it.
    """
    devices = strategy.extended.worker_devices
    if isinstance(strategy, tf.distribute.OneDeviceStrategy) and "CPU" in devices[0].upper():
        drawn = batches.in_step() if isinstance(batches, batches_lib.Batches) else None
        return drawn or iter(batches(tf.distribute.InputContext()))
    return iter(strategy.distribute_datasets_from_function(batches))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Says whether this process writes the files that all workers share."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)


def num_here(strategy: tf.distribute.Strategy) -> int:
    """Returns how many replicas compute in the memory of this machine, and not on a GPU's own."""
    if tf.config.list_physical_devices("GPU"):
        return 1
    return max(1, strategy.num_replicas_in_sync // num_workers(strategy))


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Returns how many processes train together."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return 1
    jobs = resolver.cluster_spec().as_dict()
    return sum(len(jobs.get(kind, [])) for kind in ("chief", "worker"))
