"""Bootstrap intervals that resample identities (or any groups of trials), not trials.

Trials of one probe identity are not independent: three galleries for each of a hundred utterances
of one voice are closer to one observation than to three hundred. So a resample draws as many
identities as there are, with replacement, and takes all trials of each as often as it was drawn.
The interval is the 95 % percentile interval. The candidates' identities stay as given: it speaks of
new probes.

Each function here returns the replicates of a figure, its value in each resample: [R] float64, NaN
where a resample leaves the figure undefined, empty without resamples or with one identity alone.
The resamples depend on the number of identities and the seed only, so two figures over the same
identities meet the same ones, and their replicates can be subtracted (`paired`).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from tfav.evaluation import metrics

# Counts held at a time: 2^22 int64 are 32 MiB.
_BLOCK_COUNTS = 2**22


def interval(replicates: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    """Returns the 2.5 % and 97.5 % points of the replicates [R] that are defined."""
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return None, None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def resample(num_identities: int, num_resamples: int, seed: int) -> np.ndarray:
    """Returns [R, K] int: how often each of K identities is drawn in each of R resamples."""
    return np.concatenate(list(_resamples(num_identities, num_resamples, seed)))


def _resamples(num_identities: int, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yields the rows of `resample` in parts: where rows are the groups, K is large."""
    random = np.random.default_rng(seed)
    share = np.full(num_identities, 1.0 / num_identities)
    rows = max(1, _BLOCK_COUNTS // num_identities)
    for start in range(0, num_resamples, rows):
        size = min(rows, num_resamples - start)
        yield random.multinomial(num_identities, share, size=size)


def mean(value: ArrayLike, identity: ArrayLike, num_resamples: int, seed: int) -> np.ndarray:
    """Returns the replicates of the mean over trials.

    Args:
      value: [T] one number per trial.
      identity: [T] int code of the probe's identity, 0 .. K-1, every code used.
      num_resamples: R; 0 gives none, as one identity does.
      seed: Random seed of the resamples.
    """
    identity = np.asarray(identity)
    total = np.bincount(identity, weights=np.asarray(value, np.float64))
    count = np.bincount(identity)
    return _replicates(
        lambda drawn: (drawn @ total) / (drawn @ count), len(count), num_resamples, seed
    )


def roc_auc(
    score: ArrayLike, label: ArrayLike, identity: ArrayLike, num_resamples: int, seed: int
) -> np.ndarray:
    """Returns the replicates of `metrics.roc_auc`, exact for every resample.

    Args:
      score: [T] larger = more likely right.
      label: [T] bool, both classes present.
      identity: [T] int code of the probe's identity, 0 .. K-1, every code used.
      num_resamples: R; 0 gives none, as one identity does.
      seed: Random seed of the resamples. One that leaves a single class is undefined.
    """
    score, label, identity = np.asarray(score), np.asarray(label, bool), np.asarray(identity)
    num_identities = int(identity.max()) + 1
    right_score, right_identity = score[label], identity[label]
    right_count = np.bincount(right_identity, minlength=num_identities)

    def areas(drawn: np.ndarray) -> np.ndarray:
        # A resample c wins c' A c pairs: A[k, l] = won by right trials of k over wrong ones of l.
        won, wrong_total = np.zeros(len(drawn)), np.zeros(len(drawn))
        for other in range(num_identities):
            wrong = np.sort(score[~label & (identity == other)])
            below = np.searchsorted(wrong, right_score, "left").astype(np.float64)
            below += np.searchsorted(wrong, right_score, "right")
            column = np.bincount(right_identity, weights=below / 2, minlength=num_identities)
            won += drawn[:, other] * (drawn @ column)
            wrong_total += drawn[:, other] * len(wrong)
        pairs = (drawn @ right_count) * wrong_total
        return np.divide(won, pairs, out=np.full(len(drawn), np.nan), where=pairs > 0)

    return _replicates(areas, num_identities, num_resamples, seed)


def equal_error_rate(
    score: ArrayLike, label: ArrayLike, identity: ArrayLike, num_resamples: int, seed: int
) -> np.ndarray:
    """Returns the replicates of `metrics.equal_error_rate`; arguments as of `roc_auc`."""
    return _of_curves(metrics.equal_error_of_curve, score, label, identity, num_resamples, seed)


def min_dcf(
    score: ArrayLike, label: ArrayLike, identity: ArrayLike, num_resamples: int, seed: int
) -> np.ndarray:
    """Returns the replicates of `metrics.min_dcf` at p = 0.01; arguments as of `roc_auc`."""
    return _of_curves(metrics.min_dcf_of_curve, score, label, identity, num_resamples, seed)


def _of_curves(
    figure: Callable[[np.ndarray, np.ndarray], float],
    score: ArrayLike,
    label: ArrayLike,
    identity: ArrayLike,
    num_resamples: int,
    seed: int,
) -> np.ndarray:
    """Returns the replicates of a figure of the ROC's (false, true) positive rates."""
    order = np.argsort(-np.asarray(score), kind="stable")
    score, label, identity = (np.asarray(x)[order] for x in (score, label, identity))
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)

    def rates(drawn: np.ndarray) -> np.ndarray:
        found = np.full(len(drawn), np.nan)
        for number, count in enumerate(drawn):
            weight = count[identity]
            right = np.cumsum(weight * label)[last]
            wrong = np.cumsum(weight * ~label)[last]
            if right[-1] and wrong[-1]:
                found[number] = figure(*(np.append(0.0, x / x[-1]) for x in (wrong, right)))
        return found

    return _replicates(rates, int(identity.max()) + 1, num_resamples, seed)


def _replicates(
    statistic: Callable[[np.ndarray], np.ndarray],
    num_identities: int,
    num_resamples: int,
    seed: int,
) -> np.ndarray:
    """Returns `statistic(drawn [<= R, K] float64) -> [<= R]` of all resamples, [R]."""
    if num_resamples < 1 or num_identities < 2:
        return np.zeros(0)
    parts = _resamples(num_identities, num_resamples, seed)
    return np.concatenate([statistic(drawn.astype(np.float64)) for drawn in parts])
