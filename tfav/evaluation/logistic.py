"""Logistic calibration: from a score to the probability that a pair is right (Platt scaling).

Right and wrong pairs weigh the same in all, however many there are of each, so that the probability
is that of a pair which is right as often as wrong before it is looked at (`PRIOR`).
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

PRIOR = 0.5
NUM_BINS = 10
_MAX_STEPS = 100
_HALVINGS = 60
_TOLERANCE = 1e-12


@dataclasses.dataclass(frozen=True)
class Reliability:
    """How often pairs of a probability are right, bin by bin; bins without a pair are left out.

    Attributes:
      edges: [B, 2] float64, the ends of each bin: probabilities in (low, high].
      count: [B] int, its pairs.
      weight: [B] float64, their share of all, right and wrong pairs weighing the same in all.
      probability: [B] float64, their mean probability by weight.
      right: [B] float64, the share of them that is right by weight.
    """

    edges: np.ndarray
    count: np.ndarray
    weight: np.ndarray
    probability: np.ndarray
    right: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: sum over bins of weight |probability - right|."""
        return float(self.weight @ np.abs(self.probability - self.right))


def fit(score: ArrayLike, label: ArrayLike) -> tuple[float, float]:
    """Returns the slope and the intercept that make right and wrong pairs likeliest.

    Newton's method on the weighted cross entropy. A weak prior keeps both finite where a threshold
    tells all pairs apart: with R right and W wrong pairs, the targets are Platt's,
    (R + 1) / (R + 2) and 1 / (W + 2), as if one more pair of either kind had been seen among each.

    Args:
      score: [T], not all equal.
      label: [T] bool, both kinds present.

    Raises:
      ValueError: one kind alone, equal scores or one that is not finite.
    """
    score, label = np.asarray(score, np.float64), np.asarray(label, bool)
    if label.all() or not label.any():
        raise ValueError("pairs of one kind alone: a calibration needs right and wrong ones")
    if not np.isfinite(score).all() or np.ptp(score) == 0:
        raise ValueError("scores that are all equal, or not finite, cannot be calibrated")
    middle, spread = score.mean(), score.std()
    column = np.stack([(score - middle) / spread, np.ones_like(score)])
    num_right = np.count_nonzero(label)
    num_wrong = len(label) - num_right
    target = np.where(label, (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2))
    weight = weights(label)

    def loss(at: np.ndarray) -> float:
        logit = at @ column
        return float(weight @ (np.logaddexp(0.0, logit) - target * logit))

    at, value = np.zeros(2), loss(np.zeros(2))
    for _ in range(_MAX_STEPS):
        p = special.expit(at @ column)
        gradient = column @ (weight * (p - target))
        curvature = (column * (weight * p * (1.0 - p))) @ column.T
        step = np.linalg.solve(curvature, gradient)
        for _ in range(_HALVINGS):  # a whole step may overshoot where the curve is flat
            if loss(at - step) <= value:
                break
            step /= 2
        at, value = at - step, loss(at - step)
        if np.abs(step).max() <= _TOLERANCE * max(1.0, np.abs(at).max()):
            break
    return float(at[0] / spread), float(at[1] - at[0] * middle / spread)


def weights(label: np.ndarray) -> np.ndarray:
    """Returns [T] what each pair weighs: right ones `PRIOR` in all, wrong ones the rest."""
    num_right = np.count_nonzero(label)
    return np.where(label, PRIOR / num_right, (1 - PRIOR) / (len(label) - num_right))


def reliability(probability: ArrayLike, label: ArrayLike) -> Reliability:
    """Returns how often pairs are right, in `NUM_BINS` equally wide bins of their probability.

    Args:
      probability: [T].
      label: [T] bool, both kinds present.
    """
    probability, label = np.asarray(probability, np.float64), np.asarray(label, bool)
    weight = weights(label)
    bin_of = np.clip(np.ceil(probability * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    count = np.bincount(bin_of, minlength=NUM_BINS)
    used = np.flatnonzero(count)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(bin_of, values, NUM_BINS)[used]

    share = total(weight)
    edges = np.stack([used, used + 1], axis=1) / NUM_BINS
    means = total(weight * probability) / share, total(weight * label) / share
    return Reliability(edges, count[used], share, *means)
