"""The only module that knows there are two dependency sets.

Current: TensorFlow 2.21 with Keras 3. Addons: TensorFlow 2.15 with Keras 2.15, tensorflow-addons
and tensorflow-io. Everything else is written once, in the spelling both sets understand.
"""

import contextlib
import importlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

try:
    import keras
    import tensorflow as tf
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config as framework_config
except ImportError as error:
    raise ImportError(
        f"this part of tfav needs TensorFlow, which cannot be imported ({error}): install one "
        "dependency set of it, pip install 'tfav[cpu]' or 'tfav[gpu]' (TensorFlow 2.21), or "
        "'tfav[addons-cpu]' (TensorFlow 2.15 with tensorflow-addons and tensorflow-io, in an "
        "environment of its own)."
    ) from error

from tfav import registry

KERAS_3 = keras.__version__.startswith("3.")


def raw(variable: Any) -> tf.Variable:
    """Returns the `tf.Variable` behind a Keras weight (Keras 3 wraps one, Keras 2 is one)."""
    return variable if isinstance(variable, tf.Variable) else variable.value


def local(variable: Any) -> tf.Variable:
    """Returns this replica's copy of a weight, of which single rows can be read without the rest.

    Of a mirrored one `tf.gather` would read the whole, and its gradient be as large.
    """
    its = raw(variable)
    return its._get() if isinstance(its, tf.distribute.DistributedValues) else its


def copies(variable: Any) -> dict[int, tf.Variable]:
    """Returns the copies of a weight that this process holds, by the rank of their replica."""
    its = raw(variable)
    if not isinstance(its, tf.distribute.DistributedValues):
        return {0: its}
    strategy = its.distribute_strategy
    if len(its.values) == strategy.num_replicas_in_sync:
        return dict(enumerate(its.values))
    ranks = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(context.replica_id_in_sync_group)
    )
    return dict(zip([int(rank) for rank in strategy.experimental_local_results(ranks)], its.values))


def path(variable: Any) -> str:
    """Returns a weight's name for people: `dense/kernel`."""
    return getattr(variable, "path", None) or variable.name.split(":")[0]


def leaf_name(variable: Any) -> str:
    """Returns the last part of a weight's name, equal on both sets: `kernel`."""
    return variable.name.split(":")[0].rsplit("/", 1)[-1]


def enable_determinism() -> None:
    """Lets equal programs compute equal bits, in this process and in any other of this machine.

    The optimizers of a graph's arithmetic and of its constants order sums of three and more terms
    anew, each time in another way, which TensorFlow's own switch does not know of.
    """
    tf.config.experimental.enable_op_determinism()
    tf.config.optimizer.set_experimental_options(
        {"arithmetic_optimization": False, "constant_folding": False}
    )


def deterministic() -> bool:
    """Says whether `enable_determinism` was called."""
    return framework_config.is_op_determinism_enabled()  # no public name on either set


def watch_workers(jobs: Mapping[str, Sequence[str]], seconds: float) -> None:
    """Lets a worker that is silent for so long count as gone; before a strategy of several is made.

    Each worker beats to the first one, and a missing beat ends what the others wait for.

    Args:
      jobs: `chief` and `worker` to the addresses of their tasks.
      seconds: Longest silence.
    """
    watched = [
        context.coordination_config_pb2.CoordinatedJob(name=job, num_tasks=len(tasks))
        for job, tasks in jobs.items()
    ]
    leader = "chief" if "chief" in jobs else "worker"
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{leader}/replica:0/task:0",
        heartbeat_timeout_in_ms=round(1000 * seconds),
        coordinated_jobs=watched,
    )


def reduced_apply(optimizer: Any, gradients: list[tf.Tensor | None], variables: list[Any]) -> None:
    """Applies gradients that are already summed over replicas, as they are.

    Keras 3 clips before it sums over replicas, so the trainer sums and clips itself and the
    optimizer must not sum again. A weight whose gradient is None stays.
    """
    pairs = [(g, w) for g, w in zip(gradients, variables) if g is not None]
    if hasattr(optimizer, "apply_reduced"):  # one kernel per weight
        optimizer.apply_reduced(gradients, variables)
    elif KERAS_3:
        optimizer._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars
        optimizer.apply_gradients(pairs)
    else:
        optimizer.apply_gradients(pairs, experimental_aggregate_gradients=False)


def build_optimizer(optimizer: Any, variables: list[Any]) -> None:
    """Creates the optimizer's slots. Call in the strategy's scope and before any restore."""
    if hasattr(optimizer, "build"):
        optimizer.build(variables)
    else:  # tensorflow-addons: legacy optimizers
        optimizer._create_all_weights([raw(v) for v in variables])


def optimizer_state(optimizer: Any, spread: Mapping[int, Any] | None = None) -> Any:
    """Returns the trackable form of an optimizer's state for `tf.train.Checkpoint`.

    Keras 3: the list of raw variables, of which none can be lost. Keras 2: the object, because a
    flat list would miss the inner slots of tensorflow-addons' Lookahead and moving average.

    Args:
      optimizer: a built optimizer.
      spread: What stands for a slot whose copies differ, by the `id` of its raw variable; an
        optimizer of tensorflow-addons has none.
    """
    if not KERAS_3 and not spread:
        return optimizer
    spread = spread or {}
    return [spread.get(id(raw(v)), raw(v)) for v in optimizer.variables]


@contextlib.contextmanager
def averaged(optimizer: Any, variables: list[Any]) -> Iterator[None]:
    """Holds an averaging optimizer's averages in the weights for the block; others change nothing.

    tensorflow-addons' moving average keeps them beside the weights, where they would serve nobody.
    """
    if not hasattr(optimizer, "assign_average_vars"):
        yield
        return
    weights = [raw(v) for v in variables]
    kept = [v.numpy() for v in weights]
    optimizer.assign_average_vars(weights)
    try:
        yield
    finally:
        for variable, value in zip(weights, kept):
            variable.assign(value)


def addons(name: str) -> ModuleType:
    """Imports tensorflow-addons for the feature `name`, or says which extra carries it."""
    return _extra("tensorflow_addons", name)


def tensorflow_io(name: str) -> ModuleType:
    """Imports tensorflow-io for the feature `name`, or says which extra carries it."""
    return _extra("tensorflow_io", name)


@tf.autograph.experimental.do_not_convert  # AutoGraph warns that it cannot convert an import
def _extra(module: str, name: str) -> ModuleType:
    try:
        with warnings.catch_warnings():  # its own end of life is no news to who installs it
            warnings.filterwarnings("ignore", category=UserWarning, module=module)
            return importlib.import_module(module)
    except ImportError as error:
        package = module.replace("_", "-")
        raise registry.UserError(
            f"{name!r} needs {package}, which runs on the addons set only: install "
            "'tfav[addons-cpu]' or 'tfav[addons]' in an environment of its own (Python 3.10 or "
            "3.11)."
        ) from error


def loss_dtype(name: str) -> dict[str, str]:
    """Returns the argument by which a Keras loss computes in a type; Keras 2 takes what comes."""
    return {"dtype": name} if KERAS_3 else {}
