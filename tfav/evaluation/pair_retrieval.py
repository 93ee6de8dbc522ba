"""Retrieval without labels: each row's own image among all images, and its own audio among all.

A row's own item is the only relevant one, whatever the rows are of. A tie counts against it.
"""

import numpy as np

from tfav import registry
from tfav.evaluation import bootstrap
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "pair_retrieval"
RECALL_AT = (1, 5, 10)
RECALL = {k: Metric(f"pair_recall@{k}", f"own pair in the top {k}") for k in RECALL_AT}
METRICS = tuple(RECALL.values())
DIRECTIONS = ("audio to image", "image to audio")


def ranks(score: np.ndarray) -> np.ndarray:
    """Returns [N], the rank from 1 of item i among the N scores of query i; behind its equals.

    Args:
      score: [N, N], query by item.

    Raises:
      UserError: a score is NaN or infinite.
    """
    score = np.asarray(score)
    if not np.isfinite(score).all():
        raise registry.UserError("a pair's score is NaN or infinite: look at the checkpoint.")
    return np.count_nonzero(score >= np.diag(score)[:, None], axis=1)


def evaluate(score: np.ndarray, *, tag: str, num_bootstrap: int, seed: int) -> list[results.Result]:
    """Returns recall at 1, 5 and 10 in both directions, with intervals over rows.

    Args:
      score: [N, N], audio of row i with image of row j.
      tag: which part of the data, for the record.
      num_bootstrap: resamples of the queries for the 95 % interval; 0 gives none.
      seed: Random seed of the resamples.
    """
    found = []
    size = len(score)
    for direction, by_query in zip(DIRECTIONS, (score, np.transpose(score))):
        rank = ranks(by_query)
        for k, metric in RECALL.items():
            hit = rank <= k
            found.append(
                results.measured(
                    hit.mean(),
                    min(k, size) / size,
                    bootstrap.mean(hit, np.arange(size), num_bootstrap, seed),
                    protocol=PROTOCOL,
                    metric=metric,
                    direction=direction,
                    tag=tag,
                    num_trials=size,
                    num_identities=size,
                    resampled="rows",
                )
            )
    return found
