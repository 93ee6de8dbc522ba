"""What each modality is worth to a classifier: Shapley values, and accuracy where rows lack one.

Both are of the accuracies that subsets of the modalities reach on the same rows.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfav.evaluation import bootstrap, classification
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "missing_modalities"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of rows that lose a modality
LOST, SHARE = "lost", "share"  # of the details of each result
SHAPLEY = Metric(
    "shapley",
    "Shapley value",
    definition="The Shapley value of a modality is what it adds to the accuracy, as a mean over "
    "all orders in which modalities may come; before the first one accuracy is the most frequent "
    "class's share. So the values sum to the fused accuracy less that share. It has no interval: "
    "the accuracies that it is made of have theirs.",
)
ACCURACY = Metric(
    "missing_accuracy",
    "accuracy, rows that lack it",
    definition="Accuracy, rows that lack it, is the fused accuracy where a share of the rows, "
    "drawn at random, has lost the modality; a larger share holds the rows of a smaller one.",
)
METRICS = (SHAPLEY, ACCURACY)
Subset = tuple[str, ...]


def shapley(worth: Mapping[Subset, float]) -> dict[str, float]:
    """Returns the Shapley value of each player of a game, exactly.

    `sum_S |S|! (n - |S| - 1)! / n! (v(S + m) - v(S))` over the subsets S without m.

    Args:
      worth: Value v of every subset of the players, the empty one too; the players of each in the
        order of the whole.
    """
    players = max(worth, key=len)
    n = len(players)
    found = dict.fromkeys(players, 0.0)
    for m in players:
        others = [k for k in players if k != m]
        for size in range(n):
            factor = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for subset in itertools.combinations(others, size):
                joined = tuple(k for k in players if k in (*subset, m))
                found[m] += factor * (worth[joined] - worth[subset])
    return found


def subsets(modalities: Subset) -> list[Subset]:
    """Returns every subset but the empty one, small ones first."""
    sizes = range(1, len(modalities) + 1)
    return [s for size in sizes for s in itertools.combinations(modalities, size)]


def evaluate(
    logits: Mapping[Subset, np.ndarray],
    label: np.ndarray,
    *,
    tag: str,
    notes: tuple[str, ...] = (),
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> list[results.Result]:
    """Returns the Shapley value of each modality, and accuracies at each of `SHARES` it is lost by.

    Args:
      logits: each of `subsets` to the fused logits [N, C] of rows that lack all other modalities.
      label: [N] int.
      tag: which part of the data.
      notes: sentences on what was left out.
      num_bootstrap: resamples of rows behind each interval of an accuracy; 0 gives none. Shapley
        values have none.
      seed: Random seed of the rows that lose a modality, and of the resamples.
    """
    right = {s: classification.predict(z, label) == label for s, z in logits.items()}
    chance = float(np.unique(label, return_counts=True)[1].max() / len(label))
    values = shapley({(): chance} | {s: float(its.mean()) for s, its in right.items()})
    whole = max(right, key=len)
    order = np.random.default_rng(seed).permutation(len(label))
    rows = np.arange(len(label))
    figures: list[tuple[Metric, str, float, float, np.ndarray | None, dict[str, Any]]]
    figures = [(SHAPLEY, m, value, 0.0, None, {}) for m, value in values.items()]
    for m in whole:
        without = right[tuple(k for k in whole if k != m)]
        for share in SHARES:
            lost = np.isin(rows, order[: round(share * len(rows))])
            hit = np.where(lost, without, right[whole]).astype(np.float64)
            replicates = bootstrap.mean(hit, rows, num_bootstrap, seed)
            direction = f"{m}, {share:.0%} of rows"
            facts = {LOST: m, SHARE: share}
            figures.append((ACCURACY, direction, float(hit.mean()), chance, replicates, facts))
    return [
        results.measured(
            value,
            level,
            replicates,
            protocol=PROTOCOL,
            metric=metric,
            direction=direction,
            tag=tag,
            num_trials=len(label),
            num_identities=len(label),
            resampled="rows",
            notes=notes,
            details=details,
        )
        for metric, direction, value, level, replicates, details in figures
    ]
