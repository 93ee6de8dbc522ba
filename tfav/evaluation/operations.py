"""What an embedding costs: floating-point operations per item."""

from collections.abc import Mapping

from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "operations"
TAG = "one item"
EVERY = "every modality"
MILLIONS = Metric(
    "megaflop",
    "operations",
    unit="MFLOP",
    lower_is_better=True,
    definition="Operations are the millions of floating-point operations of the embedding of one "
    "item, a multiplication and an addition counting as two, as TensorFlow's profiler counts them "
    "in the graph: it knows no Fourier transform. A clip is as long as that of the export. "
    "It has no interval: it is counted, not sampled.",
)
METRICS = (MILLIONS,)


def evaluate(counts: Mapping[str, int], details: Mapping[str, str]) -> list[results.Result]:
    """Returns the operations of each modality, and of all of them together where they are several.

    Args:
      counts: modality to the floating-point operations of one item.
      details: modality to the shape of that item.
    """
    every = dict(counts) | ({EVERY: sum(counts.values())} if len(counts) > 1 else {})
    return [
        results.measured(
            count / 1e6,
            None,
            None,
            protocol=PROTOCOL,
            metric=MILLIONS,
            direction=direction,
            tag=TAG,
            num_trials=1,
            num_identities=1,
            resampled="items",
            details={"item": details[direction]} if direction in details else {},
        )
        for direction, count in every.items()
    ]
