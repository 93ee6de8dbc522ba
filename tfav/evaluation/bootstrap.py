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

from tfav.evaluation import cores, metrics

# Counts held at a time: 2^22 int64 are 32 MiB.
_BLOCK_COUNTS = 2**22
# Weights of trials that a core holds at a time: 2^20 int64 are 8 MiB.
_BLOCK_WEIGHTS = 2**20
# Wrong pairs per right one at p = 0.01, as `metrics.min_dcf` weighs them.
_ODDS = 99

# Of how often each identity is drawn, [<= R, K] int, the figure in each resample, [<= R].
Statistic = Callable[[np.ndarray], np.ndarray]


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

    def means(drawn: np.ndarray) -> np.ndarray:
        weight = drawn.astype(np.float64)
        return (weight @ total) / (weight @ count)

    return grouped(means, len(count), 1, num_resamples, seed)


def rows(
    statistic: Callable[[np.ndarray], np.ndarray], num_rows: int, num_resamples: int, seed: int
) -> np.ndarray:
    """Returns the replicates of a figure of rows, each of which is a group of its own.

    Args:
      statistic: function of how often each row is drawn, [<= R, N] int, to the figures [<= R].
      num_rows: N.
      num_resamples: R; 0 gives none, as one row does.
      seed: Random seed of the resamples.
    """
    return grouped(statistic, num_rows, num_rows, num_resamples, seed)


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
    trials = _Trials(score, label, identity)
    right, wrong = np.flatnonzero(trials.label), np.flatnonzero(~trials.label)
    of_right, of_wrong = trials.identity[right], trials.identity[wrong]
    # Of the wrong trials, the first of a score not above that of each right one, and below it.
    rising = -trials.score[wrong], -trials.score[right]
    first, last = (np.searchsorted(*rising, side) for side in ("left", "right"))

    def areas(drawn: np.ndarray) -> np.ndarray:
        ahead = _running(np.take(drawn, of_wrong, axis=1))
        won = 2 * ahead[:, -1:] - np.take(ahead, first, axis=1) - np.take(ahead, last, axis=1)
        # Twice the pairs that are won, since a tie counts one half: integers, so the sum is exact.
        twice = np.einsum("rt,rt->r", np.take(drawn, of_right, axis=1), won)
        rights, wrongs = trials.totals(drawn)
        return _shares(twice, 2 * rights * wrongs)

    return trials.replicates(areas, num_resamples, seed)


def equal_error_rate(
    score: ArrayLike, label: ArrayLike, identity: ArrayLike, num_resamples: int, seed: int
) -> np.ndarray:
    """Returns the replicates of `metrics.equal_error_rate`; arguments as of `roc_auc`."""
    trials = _Trials(score, label, identity)
    score, label = trials.score, trials.label
    starts = np.flatnonzero(np.diff(score, prepend=np.inf))  # of the runs of equal scores
    ends = np.append(starts[1:], len(score))
    run_of = np.repeat(np.arange(len(starts)), ends - starts)
    num_right = np.append(0, np.cumsum(label))  # among the first trials
    of_right = trials.identity[label]

    def crossings(drawn: np.ndarray) -> np.ndarray:
        rights, wrongs = trials.totals(drawn)
        # FNR <= FPR is accepted right / rights + accepted wrong / wrongs >= 1, here in integers.
        both = _running(trials.weights(drawn, wrongs, rights))
        run = run_of[np.argmax(both[:, 1:] >= (rights * wrongs)[:, None], axis=1)]
        accepted = _running(np.take(drawn, of_right, axis=1))
        row = np.arange(len(drawn))
        place = np.stack([starts[run], ends[run]])  # the points around the crossing
        right = accepted[row, num_right[place]]
        wrong = both[row, place] - right * wrongs  # times `rights`
        rates = _shares(wrong, rights * wrongs), _shares(right, rights)
        return metrics.equal_error_between(*rates)

    return trials.replicates(crossings, num_resamples, seed)


def min_dcf(
    score: ArrayLike, label: ArrayLike, identity: ArrayLike, num_resamples: int, seed: int
) -> np.ndarray:
    """Returns the replicates of `metrics.min_dcf` at p = 0.01; arguments as of `roc_auc`."""
    trials = _Trials(score, label, identity)

    def costs(drawn: np.ndarray) -> np.ndarray:
        rights, wrongs = trials.totals(drawn)
        # FNR + 99 FPR less 1, which is what rejecting all costs, here in integers. Among equal
        # scores the wrong trials come first, so that no place within them costs least.
        saved = np.cumsum(trials.weights(drawn, -wrongs, _ODDS * rights), axis=1)
        return 1.0 + _shares(np.minimum(saved.min(axis=1), 0), rights * wrongs)

    return trials.replicates(costs, num_resamples, seed)


class _Trials:
    """Trials by falling score, the wrong ones of equal scores first.

    Args:
      score: [T].
      label: [T] bool.
      identity: [T] int code of the probe's identity, 0 .. K-1, every code used.
    """

    def __init__(self, score: ArrayLike, label: ArrayLike, identity: ArrayLike):
        label = np.asarray(label, bool)
        order = np.lexsort((label, -np.asarray(score)))
        self.score, self.label = np.asarray(score)[order], label[order]
        self.identity = np.asarray(identity)[order]
        self.num_identities = int(self.identity.max()) + 1
        self._kind = self.identity + self.num_identities * self.label
        num_of_kind = np.bincount(self._kind, minlength=2 * self.num_identities)
        self._num_wrong, self._num_right = np.split(num_of_kind, 2)

    def totals(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns how many right and how many wrong trials each resample [R, K] holds, [R] each."""
        return drawn @ self._num_right, drawn @ self._num_wrong

    def weights(self, drawn: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        """Returns [R, T]: how often a trial is drawn, times `right` or `wrong` [R] by its label."""
        table = np.concatenate([drawn * wrong[:, None], drawn * right[:, None]], axis=1)
        return np.take(table, self._kind, axis=1)

    def replicates(
        self, statistic: Callable[[np.ndarray], np.ndarray], num_resamples: int, seed: int
    ) -> np.ndarray:
        """Returns the statistic of all resamples, [R], see `grouped`."""
        return grouped(statistic, self.num_identities, len(self.label), num_resamples, seed)


def _running(weight: np.ndarray) -> np.ndarray:
    """Returns [R, T + 1]: the sum of the first 0 .. T weights [R, T]."""
    total = np.zeros((len(weight), weight.shape[1] + 1), weight.dtype)
    np.cumsum(weight, axis=1, out=total[:, 1:])
    return total


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns part [..., R] / whole [R]; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)


def grouped(
    statistic: Statistic,
    num_identities: int,
    num_weights: int,
    num_resamples: int,
    seed: int,
) -> np.ndarray:
    """Returns `statistic(drawn [<= R, K] int) -> [<= R]` of all resamples, [R].

    Args:
      statistic: is called with parts of the resamples, on all cores at once.
      num_identities: K.
      num_weights: numbers that it holds per resample.
      num_resamples: R.
      seed: Random seed of the resamples.
    """
    if num_resamples < 1 or num_identities < 2:
        return np.zeros(0)
    size = max(1, _BLOCK_WEIGHTS // num_weights)
    found = []
    for drawn in _resamples(num_identities, num_resamples, seed):
        values = np.empty(len(drawn))

        def part(start: int, drawn: np.ndarray = drawn, values: np.ndarray = values) -> None:
            values[start : start + size] = statistic(drawn[start : start + size])

        cores.each(part, range(0, len(drawn), size))
        found.append(values)
    return np.concatenate(found)
