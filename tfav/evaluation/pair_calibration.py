"""How a model decides of pairs: thresholds, error rates at them, and how far to believe it.

Thresholds and calibration are fitted on one split and never on the one that is evaluated, which
only says how often they err there. The first result holds all of it, as `decisions` stores it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfav.evaluation import (
    bootstrap,
    decisions,
    logistic,
    metrics,
    pair_errors,
    temperature_scaling,
    thresholds,
)
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "calibration"
DECISIONS = "decisions"  # of the details of the first result
RELIABILITY = "reliability"  # of the details of `PAIR_ECE`
EVERY = "all pairs"
EER = Metric(
    "pair_eer",
    "EER of all pairs",
    lower_is_better=True,
    definition="EER of all pairs is the rate at which false acceptances equal false rejections, "
    "over every pair of an audio item and an image of the split, or of an even spread of them.",
    of_one_run=True,
)
PAIR_ECE = Metric(
    "pair_ece",
    "calibration error of pairs",
    lower_is_better=True,
    definition="Calibration error of pairs is the mean gap between the probability that a pair is "
    f"right and the share that is, over {logistic.NUM_BINS} equally wide bins of probability; "
    "right pairs weigh as much as wrong ones in all, and the probability was fitted on val. It "
    "has no interval: resampling adds noise to the gap of every bin.",
    of_one_run=True,
)
METRICS = (EER, *pair_errors.METRICS, PAIR_ECE, *temperature_scaling.METRICS)

_CALLED = {name: f"{100 * far:g} % FAR" for name, far in thresholds.POINTS.items() if far}
_CALLED |= {thresholds.EER: "EER", "taught": "taught"}


def evaluate(
    fitted: thresholds.Trials | None,
    evaluated: thresholds.Trials,
    *,
    score: str,
    tag: str,
    resampled: str,
    why_not_fitted: str = "",
    groups: Sequence[pair_errors.Group] = (),
    notes: Sequence[str] = (),
    taught: float | None = None,
    about: Mapping[str, Any] | None = None,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> list[results.Result]:
    """Returns the EER, FAR and FRR at each threshold, the calibration error, and those of groups.

    Args:
      fitted: pairs of the split that thresholds and calibration are fitted on; None: there are
        none, nothing is fitted, and the notes say so.
      evaluated: pairs of another split, of both kinds.
      score: `decisions.COSINE` or `decisions.SCORE`.
      tag: which part of the data was evaluated.
      resampled: what the intervals resample, in the plural.
      why_not_fitted: a clause, where `fitted` is None.
      groups: of the evaluated pairs.
      notes: sentences on what was left out before.
      taught: Score from which the recipe was taught to take a pair for matched; None: none.
      about: further entries of `measured_on`.
      num_bootstrap: resamples behind each interval; 0 gives none.
      seed: Random seed of the resamples.
    """
    sampled = num_bootstrap, seed
    found, left_out = _thresholds(fitted, why_not_fitted, taught, sampled)
    calibration = _calibration(fitted, left_out)
    every = {
        "protocol": PROTOCOL,
        "tag": tag,
        "resampled": resampled,
        "num_trials": len(evaluated.label),
        "num_identities": evaluated.num_identities,
    }
    of_points: list[results.Result] = []
    stored: dict[str, Any] = {}
    for name, threshold in found.items():
        rates = thresholds.rates(evaluated, threshold.value, *sampled)
        direction = called(name)
        of_points += pair_errors.figures(
            evaluated, rates, threshold.value, None, every, direction=direction
        )
        stored[name] = pair_errors.stored(threshold, rates)
    shipped = "taught" if taught is not None else thresholds.EER
    record = {
        "score": score,
        "calibration": calibration,
        "thresholds": stored,
        "shipped": shipped if shipped in stored else None,
        "left_out": left_out,
        "measured_on": {
            **(about or {}),
            "seed": seed,
            "fitted": None if fitted is None else fitted.facts(),
            "evaluated": evaluated.facts(),
        },
    }
    said = [f"{tag}: no {called(name)}: {why}." for name, why in left_out.items()]
    of_groups: list[results.Result] = []
    for group in groups if record["shipped"] else ():
        its, why = pair_errors.of_group(evaluated, group, found[shipped].value, sampled, every)
        of_groups += its
        said += why
    trials = evaluated.score, evaluated.label, evaluated.identity
    first = results.measured(
        metrics.equal_error_rate(*trials[:2]),
        0.5,
        bootstrap.equal_error_rate(*trials, *sampled),
        metric=EER,
        direction=EVERY,
        notes=(*notes, *said),
        details={DECISIONS: record},
        **every,
    )
    return [first, *of_points, *_reliability(evaluated, calibration, every), *of_groups]


def _thresholds(
    fitted: thresholds.Trials | None, why: str, taught: float | None, sampled: tuple[int, int]
) -> tuple[dict[str, thresholds.Threshold], dict[str, str]]:
    """Returns thresholds by name, and by name why others are left out."""
    why = why if fitted is None else fitted.lacks()
    if why or fitted is None:
        found: dict[str, thresholds.Threshold] = {}
        left_out = dict.fromkeys([*thresholds.POINTS, "calibration"], why)
    else:
        found, left_out = thresholds.find(fitted, *sampled)
    if taught is not None:
        found["taught"] = thresholds.Threshold(taught, None, None)
    return found, left_out


def _calibration(
    fitted: thresholds.Trials | None, left_out: dict[str, str]
) -> dict[str, float] | None:
    """Returns slope, intercept and prior; None and a further `left_out` where there is none."""
    if fitted is None or "calibration" in left_out:
        return None
    if np.ptp(fitted.score) == 0:
        left_out["calibration"] = f"all pairs of {fitted.split} have one score"
        return None
    slope, intercept = logistic.fit(fitted.score, fitted.label)
    if slope <= 0:  # a surer score would be a less likely pair
        left_out["calibration"] = f"right pairs of {fitted.split} score no higher than wrong ones"
        return None
    return {"slope": slope, "intercept": intercept, "prior": logistic.PRIOR}


def called(name: str) -> str:
    """Returns what a reader calls a threshold, such as `1 % FAR threshold`, or the calibration."""
    return f"{_CALLED[name]} threshold" if name in _CALLED else name


def _reliability(
    evaluated: thresholds.Trials,
    calibration: Mapping[str, float] | None,
    every: Mapping[str, Any],
) -> list[results.Result]:
    """Returns the calibration error, with its bins; nothing without a calibration."""
    if calibration is None:
        return []
    probability = decisions.logistic(
        evaluated.score, calibration["slope"], calibration["intercept"]
    )
    bins = logistic.reliability(probability, evaluated.label)
    details = {RELIABILITY: {name: value.tolist() for name, value in vars(bins).items()}}
    return [
        results.measured(
            bins.error, None, None, metric=PAIR_ECE, direction=EVERY, details=details, **every
        )
    ]
