"""How a soft clustering uses its clusters: how sure of a position, how evenly over all of them."""

import math

import numpy as np

from tfav.evaluation import bootstrap
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "clusters"
LARGEST = Metric(
    "largest_share",
    "largest share",
    neutral=True,
    definition="The largest share is how much of a position its first cluster has, on average; "
    "chance is that of equal shares.",
)
ENTROPY = Metric(
    "use_entropy",
    "entropy of use",
    neutral=True,
    definition="The entropy of use is that of the share of all positions that each cluster has, "
    "over ln K: 100 % where all are used alike. It has no interval: a resample holds fewer "
    "different rows, which use the clusters less evenly.",
)
STEP = Metric(
    "step_ms",
    "time per step",
    unit="ms",
    lower_is_better=True,
    definition="The time per step is that of the forward and the backward pass of one training "
    "batch of noise on this machine, the median of several; what else runs there counts. It has no "
    "interval: it is of no rows that could be resampled.",
)
METRICS = (LARGEST, ENTROPY, STEP)


def evaluate(
    largest: np.ndarray,
    share: np.ndarray,
    *,
    modality: str,
    tag: str,
    num_bootstrap: int,
    seed: int,
) -> list[results.Result]:
    """Returns how the clusters of one modality are used; a single cluster has no entropy.

    Args:
      largest: Mean over a row's positions of their largest share, [N].
      share: Share of a row's positions that each cluster has, [N, K].
      modality: whose clusters.
      tag: which part of the data, for the record.
      num_bootstrap: resamples of rows for the 95 % interval; 0 gives none.
      seed: Random seed of the resamples.
    """
    num_rows, num_clusters = share.shape
    rows = np.arange(num_rows)
    fields = {"protocol": PROTOCOL, "direction": modality, "tag": tag, "resampled": "rows"}
    fields |= {"num_trials": num_rows, "num_identities": num_rows}
    spread = bootstrap.mean(largest, rows, num_bootstrap, seed)
    found = [results.measured(np.mean(largest), 1 / num_clusters, spread, metric=LARGEST, **fields)]
    if num_clusters > 1:
        value = entropy(share.mean(axis=0)) / math.log(num_clusters)
        found.append(results.measured(value, None, None, metric=ENTROPY, **fields))
    return found


def step(milliseconds: np.ndarray, *, tag: str) -> results.Result:
    """Returns the time per step, the median of several [R] in milliseconds."""
    return results.measured(
        float(np.median(milliseconds)),
        None,
        None,
        protocol=PROTOCOL,
        metric=STEP,
        direction="training",
        tag=tag,
        num_trials=len(milliseconds),
        num_identities=len(milliseconds),
        resampled="nothing",
    )


def entropy(share: np.ndarray) -> float:
    """Returns `-sum p ln p` of shares [K] that sum to 1, in nats."""
    positive = share[share > 0]
    return float(-np.sum(positive * np.log(positive)))
