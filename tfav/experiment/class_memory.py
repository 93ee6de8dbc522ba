"""What the weights of very many classes take of memory, before any of it is taken."""

import math
import os
from typing import NamedTuple

import ml_collections

from tfav import registry
from tfav.experiment import models
from tfav.training import optimizers

_CGROUP = "/sys/fs/cgroup/memory.max"
# Of a modality's logits a step holds the logits, the posterior, and the gradient.
_BUFFERS = 3


class Need(NamedTuple):
    """Bytes that the class weights of a config take on each replica.

    Attributes:
      num_classes: of the training split.
      num_taken: Number of them that a step takes.
      num_held: Number of them that each replica holds.
      size: Numbers per class, of all heads and centres together.
      weights: of the heads themselves.
      optimizer: of its slots.
      gradients: of a step.
      logits: of a step, with what else is as large as they are.
    """

    num_classes: int
    num_taken: int
    num_held: int
    size: int
    weights: int
    optimizer: int
    gradients: int
    logits: int

    @property
    def total(self) -> int:
        """Returns the bytes of all of it."""
        return self.weights + self.optimizer + self.gradients + self.logits

    def line(self) -> str:
        """Returns it as the first lines of a training have it."""
        some = ""
        if self.num_taken < self.num_classes:
            some = f", of which a step takes {self.num_taken:,}"
        if self.num_held < self.num_classes:
            some = f", of which a replica holds {self.num_held:,}"
        return (
            f"classifier: {self.num_classes:,} classes x {self.size}{some}: {told(self.total)} on "
            f"each replica (weights {told(self.weights)}, optimizer {told(self.optimizer)}, "
            f"gradients {told(self.gradients)}, logits {told(self.logits)})"
        )


def need(c: ml_collections.ConfigDict, num_classes: int, num_replicas: int) -> Need | None:
    """Returns what a config's class weights take; None of a recipe that has none.

    Args:
      c: Config of the phase.
      num_classes: of the training split.
      num_replicas: in all, which share the batch.
    """
    arguments = models.recipe_arguments(c)
    sizes = dict.fromkeys(models.sections(c), c.embedding_size)
    shapes = models.recipe_class(c).class_weights(arguments, sizes, num_classes)
    if not shapes or not num_classes:
        return None
    size = sum(rows * columns for rows, columns in shapes) // num_classes
    share = arguments.get("sampled", 1.0)
    taken = held = num_classes
    rows = math.ceil(c.train.batch_size / num_replicas)
    if share < 1:
        taken = min(num_classes, math.ceil(share * num_classes) + c.train.batch_size)
    columns = taken
    if arguments.get("sharded", False) and num_replicas > 1:  # all rows of a share of the classes
        columns = held = math.ceil(num_classes / num_replicas)
        rows = c.train.batch_size
    number = 8 if c.dtype == "float64" else 4
    slots = optimizers.SLOTS.get(c.train.optimizer, 2)
    if c.train.optimizer == "sgd" and not c.train.momentum:
        slots = 0
    centers = max(rows for rows, _ in shapes) // num_classes
    heads = len(sizes) * (1 + (len(shapes) > 1))
    return Need(
        num_classes,
        taken,
        held,
        size,
        weights=number * held * size,
        optimizer=slots * number * held * size,
        gradients=number * columns * size,
        logits=_BUFFERS * number * heads * rows * columns * centers,
    )


def check(its: Need, num_here: int) -> None:
    """Refuses class weights that the memory of this machine cannot hold.

    Args:
      its: what they take on each replica.
      num_here: Number of replicas whose memory is that of this machine.

    Raises:
      UserError: that.
    """
    limit, total = machine_memory(), its.total * num_here
    if total > limit:
        raise registry.UserError(
            f"{its.line()} take {told(total)} on {num_here} "
            f"{'replica' if num_here == 1 else 'replicas'} here and this machine has "
            f"{told(limit)}: lower --config.embedding_size, --config.model.sampled (for gradients "
            "and logits) or --config.train.batch_size (for logits), set --config.model.sharded to "
            "True where each replica has a memory of its own, or train on fewer classes."
        )


def machine_memory() -> int:
    """Returns the bytes of memory that this process may take: of the machine, or of its group."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        with open(_CGROUP, encoding="ascii") as file:
            return min(physical, int(file.read()))
    except (OSError, ValueError):  # no such group, or one without a limit
        return physical


def told(number: int) -> str:
    """Returns a number of bytes in the unit that it is read in, such as `512 MB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e6:.3g} MB"
