"""Figures of merit of a scored set of trials, in NumPy float64.

A score is larger for a closer pair; a label is 1 (true) for a right pair and 0 for a wrong one.
"""

import numpy as np
from numpy.typing import ArrayLike


def roc_curve(score: ArrayLike, label: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the points of the receiver operating characteristic, one per distinct score.

    Args:
      score: [T] larger = more likely right.
      label: [T] 0 or 1.

    Returns:
      (false_positive_rate [P], true_positive_rate [P], threshold [P]): the rates when every score
      >= the threshold is accepted, from (0, 0) at +inf to (1, 1). Equal scores move together.

    Raises:
      ValueError: shapes differ, a score is NaN, a label is neither 0 nor 1, or one class is absent.
    """
    score, label = _trials(score, label)
    order = np.argsort(-score)
    score, label = score[order], label[order]
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # of each distinct score
    right = np.append(0, np.cumsum(label)[last])
    wrong = np.append(0, 1 + last) - right
    return wrong / wrong[-1], right / right[-1], np.append(np.inf, score[last])


def roc_auc(score: ArrayLike, label: ArrayLike) -> float:
    """Returns the area under the ROC: the probability that a right pair scores above a wrong one.

    Mann-Whitney's statistic; a tie counts one half. It counts won pairs, so that it is exact where
    scikit-learn's trapezoid rounds: two runs that win as many pairs tie.

    Args:
      score: [T] larger = more likely right.
      label: [T] 0 or 1.

    Raises:
      ValueError: shapes differ, a score is NaN, a label is neither 0 nor 1, or one class is absent.
    """
    score, label = _trials(score, label)
    wrong = np.sort(score[~label])
    right = np.sort(score[label])  # sorted, they are looked up where the last one was
    below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(below.sum() / (2 * len(wrong) * len(right)))


def equal_error_rate(score: ArrayLike, label: ArrayLike) -> float:
    """Returns the rate at which false acceptances and false rejections are equal.

    Exact on the piecewise linear ROC: its crossing with the line FNR = FPR, interpolated between
    the last point with FNR > FPR and the first with FNR <= FPR.

    Args:
      score: [T] larger = more likely right.
      label: [T] 0 or 1.

    Raises:
      ValueError: shapes differ, a score is NaN, a label is neither 0 nor 1, or one class is absent.
    """
    return equal_error(score, label)[0]


def equal_error(score: ArrayLike, label: ArrayLike) -> tuple[float, float]:
    """Returns `equal_error_rate`, and the highest score at which FNR <= FPR.

    A pair is accepted at this score and above. Of equal rates the first score beyond their crossing
    is taken, one of the trials' own.

    Args:
      score: [T] larger = more likely right.
      label: [T] 0 or 1.

    Raises:
      ValueError: as `equal_error_rate`.
    """
    false_positive_rate, true_positive_rate, threshold = roc_curve(score, label)
    after = int(np.argmax(1.0 - true_positive_rate <= false_positive_rate))
    sides = slice(after - 1, after + 1)
    rate = equal_error_between(false_positive_rate[sides], true_positive_rate[sides])
    return float(rate), float(threshold[after])


def equal_error_between(
    false_positive_rate: np.ndarray, true_positive_rate: np.ndarray
) -> np.ndarray:
    """Returns [...] where the ROC between two of its points, [2, ...] each, meets FNR = FPR.

    FNR > FPR at the first point, and FNR <= FPR at the second.
    """
    gap = 1.0 - true_positive_rate - false_positive_rate
    share = gap[0] / (gap[0] - gap[1])
    return false_positive_rate[0] + share * (false_positive_rate[1] - false_positive_rate[0])


def min_dcf(score: ArrayLike, label: ArrayLike, p_target: float = 0.01) -> float:
    """Returns the least detection cost over all thresholds, NIST's normalised minDCF.

    min_t (p FNR(t) + (1 - p) FPR(t)) / min(p, 1 - p), both costs 1: at p = 0.01 this is
    100 min_t (0.01 FNR + 0.99 FPR). 0 is perfect; rejecting (or accepting) everything costs 1.

    Args:
      score: [T] larger = more likely right.
      label: [T] 0 or 1.
      p_target: How likely a right pair is where the system works, 0 < p < 1.

    Raises:
      ValueError: shapes differ, a score is NaN, a label is neither 0 nor 1, one class is absent, or
        `p_target` is out of range.
    """
    if not 0 < p_target < 1:
        raise ValueError(f"p_target must lie between 0 and 1, not {p_target}.")
    false_positive_rate, true_positive_rate, _ = roc_curve(score, label)
    cost = p_target * (1.0 - true_positive_rate) + (1.0 - p_target) * false_positive_rate
    return float(cost.min() / min(p_target, 1.0 - p_target))


def _trials(score: ArrayLike, label: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns score [T] float64 and label [T] bool, checked."""
    score = np.asarray(score, np.float64)
    label = np.asarray(label)
    if score.ndim != 1 or score.shape != label.shape:
        raise ValueError(f"score {score.shape} and label {label.shape} must both be [T].")
    if np.isnan(score).any():
        raise ValueError(f"{int(np.isnan(score).sum())} of {len(score)} scores are NaN.")
    if not np.isin(label, (0, 1)).all():
        raise ValueError(f"labels must be 0 or 1, found {np.unique(label)[:5].tolist()}.")
    label = label.astype(bool)
    if label.all() or not label.any():
        raise ValueError(f"all {len(label)} trials are of one class: the figure needs both.")
    return score, label
