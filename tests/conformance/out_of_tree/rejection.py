"""A kind of query list: one row, and the protocol of a table that has it."""

import numpy as np

from tfav.annotations import lists
from tfav.commands.protocols import by_lists
from tfav.evaluation import list_tasks
from tfav.evaluation.metric import Metric

LEAST = Metric("least", "least cosine of a pair")


def read(path):
    """Pairs, a line each."""
    with open(path, encoding="utf-8") as file:
        return [lists.Gallery([probe], [other]) for probe, other in map(str.split, file)]


def evaluate(query):
    """The least cosine of all pairs."""
    modality, other = lists.MODALITIES[query.name.direction]
    cosines = [
        float(
            query.space.vectors(query.path, modality, probes)[0]
            @ query.space.vectors(query.path, other, gallery)[0]
        )
        for probes, gallery in read(query.path)
    ]
    identity = np.arange(len(cosines))
    value = min(cosines)
    return [query.result(LEAST, identity, value=value, chance=0.0, replicates=np.array([value]))]


TASK = list_tasks.ListTask(lists.Form("rejection", ("reject",), False, read), (LEAST,), evaluate)
LISTS = by_lists.Lists({**list_tasks.TASKS, "rejection": TASK})
