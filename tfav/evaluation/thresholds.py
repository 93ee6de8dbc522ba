"""Thresholds of a score: where both errors are equal, and where few wrong pairs are accepted.

A pair is accepted where its score >= the threshold, which is always the score of some pair. FAR is
the share of wrong pairs that are accepted, FRR that of right pairs that are not.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tfav.evaluation import bootstrap, metrics

EER = "eer"
# Name of a threshold to the share of wrong pairs that may be accepted; None: as many as of right
# pairs are refused.
POINTS: Mapping[str, float | None] = {
    EER: None,
    "far_0.1": 0.1,
    "far_0.01": 0.01,
    "far_0.001": 0.001,
}
MIN_ERRORS = 10  # wrong pairs that a threshold accepts, for the share of them to mean something
MIN_PAIRS = 10  # of either kind, for anything to be fitted on, or a rate to be told


class Trials(NamedTuple):
    """Pairs with their scores.

    Attributes:
      split: which part of the data.
      score: [T] larger = more likely right.
      label: [T] bool, whether a pair is right.
      identity: [T] int code 0 .. K-1 of the probe's identity, every code used.
    """

    split: str
    score: np.ndarray
    label: np.ndarray
    identity: np.ndarray

    @property
    def num_right(self) -> int:
        """Right pairs."""
        return int(np.count_nonzero(self.label))

    @property
    def num_wrong(self) -> int:
        """Wrong pairs."""
        return len(self.label) - self.num_right

    @property
    def num_identities(self) -> int:
        """Identities of the probes."""
        return int(self.identity.max()) + 1

    def lacks(self) -> str:
        """Says why there are too few pairs to fit anything on; empty where there are enough."""
        if min(self.num_right, self.num_wrong) >= MIN_PAIRS:
            return ""
        return (
            f"{self.split} has {self.num_right:,} right and {self.num_wrong:,} wrong pairs, and "
            f"{MIN_PAIRS} of each are needed"
        )

    def facts(self) -> dict[str, Any]:
        """Returns what the pairs are, for a record."""
        return {
            "split": self.split,
            "num_trials": len(self.label),
            "num_right": self.num_right,
            "num_wrong": self.num_wrong,
            "num_identities": self.num_identities,
        }


class Threshold(NamedTuple):
    """A threshold with its 95 % bootstrap interval over identities; None without one."""

    value: float
    low: float | None
    high: float | None


class Rates(NamedTuple):
    """How often a threshold errs, with the replicates of both shares [R].

    Attributes:
      far: share of wrong pairs that are accepted; None without a wrong pair.
      frr: share of right pairs that are refused; None without a right pair.
      far_replicates: of `bootstrap`, over the identities that have wrong pairs.
      frr_replicates: likewise, right pairs.
    """

    far: float | None
    frr: float | None
    far_replicates: np.ndarray
    frr_replicates: np.ndarray


def at_far(score: np.ndarray, label: np.ndarray, far: float) -> float | None:
    """Returns the lowest score at which at most the share `far` of wrong pairs is accepted.

    Args:
      score: [T].
      label: [T] bool, a wrong pair present.
      far: in (0, 1).

    Returns:
      a score of a pair; None where even the highest accepts more, for wrong pairs tie there.
    """
    wrong = np.sort(score[~label])[::-1]
    allowed = _allowed(far, len(wrong))
    if allowed >= len(wrong):
        return float(score.min())
    above = score[score > wrong[allowed]]  # the first wrong pair that may not be accepted
    return float(above.min()) if len(above) else None


def _allowed(far: float, num_wrong: int | np.ndarray) -> Any:
    return np.floor(far * num_wrong + 1e-9).astype(int)


def find(
    trials: Trials, num_bootstrap: int, seed: int
) -> tuple[dict[str, Threshold], dict[str, str]]:
    """Returns the thresholds of `POINTS` by name, and why others of them are left out.

    Args:
      trials: what they are chosen on, both kinds present.
      num_bootstrap: resamples of the probes' identities behind each interval; 0 gives none.
      seed: Random seed of the resamples.
    """
    found: dict[str, Threshold] = {}
    left_out: dict[str, str] = {}
    score, label = trials.score, trials.label
    for name, far in POINTS.items():
        expected = trials.num_wrong * (1.0 if far is None else far)
        if far is not None and expected < MIN_ERRORS:
            left_out[name] = (
                f"{100 * far:g} % of the {trials.num_wrong:,} wrong pairs of {trials.split} are "
                f"{expected:.1f}, and {MIN_ERRORS} are needed"
            )
            continue
        value = metrics.equal_error(score, label)[1] if far is None else at_far(score, label, far)
        if value is None:
            left_out[name] = (
                f"more than {100 * (far or 0):g} % of the wrong pairs of {trials.split} tie at the "
                "highest score"
            )
            continue
        drawn = replicates(trials, far, num_bootstrap, seed)
        found[name] = Threshold(value, *bootstrap.interval(drawn))
    return found, left_out


def replicates(trials: Trials, far: float | None, num_bootstrap: int, seed: int) -> np.ndarray:
    """Returns the threshold in each resample of the probes' identities, [R] float64.

    In each, the lowest of all scores that keeps to `far`, or where FRR <= FAR the highest (`far`
    None); NaN where there is none.

    Args:
      trials: what it is chosen on.
      far: see `POINTS`.
      num_bootstrap: R.
      seed: Random seed of the resamples.
    """
    choose = _equal(trials) if far is None else _below(trials, far)
    size = len(trials.score)
    return bootstrap.grouped(choose, trials.num_identities, size, num_bootstrap, seed)


def _equal(trials: Trials) -> bootstrap.Statistic:
    order = np.argsort(-trials.score, kind="stable")
    score, label, identity = (x[order] for x in (trials.score, trials.label, trials.identity))
    of_right, of_wrong = _counts(trials)

    def choose(drawn: np.ndarray) -> np.ndarray:
        rights, wrongs = drawn @ of_right, drawn @ of_wrong
        # FRR <= FAR is accepted right / rights + accepted wrong / wrongs >= 1, here in integers.
        one = np.take(drawn, identity, axis=1)
        both = np.cumsum(one * np.where(label, wrongs[:, None], rights[:, None]), axis=1)
        place = np.argmax(both >= (rights * wrongs)[:, None], axis=1)
        return np.where((rights > 0) & (wrongs > 0), score[place], np.nan)

    return choose


def _below(trials: Trials, far: float) -> bootstrap.Statistic:
    wrong = np.flatnonzero(~trials.label)
    wrong = wrong[np.argsort(-trials.score[wrong], kind="stable")]
    identity = trials.identity[wrong]
    scores = np.unique(trials.score)
    higher = np.searchsorted(scores, trials.score[wrong], "right")
    above = np.append(scores, np.nan)[higher]  # the next score of any pair
    of_wrong = _counts(trials)[1]

    def choose(drawn: np.ndarray) -> np.ndarray:
        wrongs = drawn @ of_wrong
        accepted = np.cumsum(np.take(drawn, identity, axis=1), axis=1)
        over = accepted > _allowed(far, wrongs)[:, None]
        found = np.where(over[:, -1], above[np.argmax(over, axis=1)], scores[0])
        return np.where(wrongs > 0, found, np.nan)

    return choose


def _counts(trials: Trials) -> tuple[np.ndarray, np.ndarray]:
    """Returns how many right and how many wrong pairs each identity has, [K] int each."""
    size = trials.num_identities
    right = np.bincount(trials.identity[trials.label], minlength=size)
    return right, np.bincount(trials.identity[~trials.label], minlength=size)


def rates(
    trials: Trials,
    threshold: float,
    num_bootstrap: int,
    seed: int,
    some: np.ndarray | None = None,
) -> Rates:
    """Returns how often a threshold errs.

    Args:
      trials: on what.
      threshold: from which a pair is accepted.
      num_bootstrap: resamples of the probes' identities; 0 gives none.
      seed: Random seed of the resamples.
      some: [T] bool, which pairs count; None: all.
    """
    counts = np.ones(len(trials.label), bool) if some is None else some
    accepted = trials.score >= threshold
    found: list[tuple[float | None, np.ndarray]] = []
    for kind, error in ((counts & ~trials.label, accepted), (counts & trials.label, ~accepted)):
        rows = np.flatnonzero(kind)
        if not len(rows):
            found.append((None, np.zeros(0)))
            continue
        code = np.unique(trials.identity[rows], return_inverse=True)[1]
        drawn = bootstrap.mean(error[rows], code, num_bootstrap, seed)
        found.append((float(error[rows].mean()), drawn))
    (far, of_far), (frr, of_frr) = found
    return Rates(far, frr, of_far, of_frr)
