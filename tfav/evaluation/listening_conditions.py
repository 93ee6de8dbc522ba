"""What becomes of pairs where less of a clip is heard, or noise with it.

Every condition is met by the same pairs and the same resamples of identities.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tfav.evaluation import bootstrap, metrics, thresholds
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "conditions"
SECONDS, SNR_DB = "seconds", "snr_db"  # of the details of each result
WHOLE = "clips as they are"
AUC = Metric(
    "condition_auc",
    "AUC of all pairs",
    definition="AUC of all pairs is the probability that a right pair of audio and image scores "
    "above a wrong one, over every pair of the split, or of an even spread of its items.",
)
EER = Metric("condition_eer", "EER of all pairs", lower_is_better=True)
RIGHT = Metric("similarity_right", "cosine of right pairs", unit="", digits=3)
WRONG = Metric(
    "similarity_wrong",
    "cosine of wrong pairs",
    unit="",
    digits=3,
    lower_is_better=True,
    definition="Cosines are means over the right, and over the wrong pairs.",
)
METRICS = (AUC, EER, RIGHT, WRONG)


class Condition(NamedTuple):
    """What is done to a clip before it is heard; without either: nothing.

    Attributes:
      seconds: only so much of its start is heard; None: all.
      snr_db: white noise is added, so far below the power of the clip; None: none.
    """

    seconds: float | None = None
    snr_db: float | None = None

    @property
    def name(self) -> str:
        """What a reader calls it."""
        if self.seconds is not None:
            return f"first {self.seconds:g} s"
        return WHOLE if self.snr_db is None else f"noise at {self.snr_db:g} dB SNR"

    @property
    def facts(self) -> dict[str, float]:
        """What of it is set, for the record."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def noisy(clip: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    """Returns a clip [T] float32 with white noise, whose mean power is `snr_db` below the clip's.

    Where the sum leaves [-1, 1] both are made quieter alike: nothing is clipped, and the ratio of
    the two stays.

    Args:
      clip: with sound in it.
      snr_db: ratio of the mean powers in decibels.
      seed: Random seed of the noise.
    """
    white = np.random.default_rng(seed).normal(size=len(clip))
    white *= np.sqrt(np.mean(np.square(clip, dtype=np.float64)) / np.mean(np.square(white)))
    found = clip + white * 10.0 ** (-snr_db / 20)
    return (found / max(1.0, np.abs(found).max())).astype(np.float32)


def evaluate(
    found: Mapping[Condition, thresholds.Trials],
    *,
    tag: str,
    resampled: str,
    notes: tuple[str, ...] = (),
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> list[results.Result]:
    """Returns AUC, EER and mean cosines under each condition.

    Args:
      found: the pairs by condition, with their cosines under it.
      tag: which part of the data.
      resampled: what the intervals resample, in the plural.
      notes: sentences on what was left out.
      num_bootstrap: resamples behind each interval; 0 gives none.
      seed: Random seed of the resamples.
    """
    sampled = num_bootstrap, seed
    every = []
    for condition, trials in found.items():
        score, label, code = trials.score, trials.label, trials.identity
        means = [
            (metric, score[kind].mean(), None, _mean(score, code, kind, sampled), kind)
            for metric, kind in ((RIGHT, label), (WRONG, ~label))
        ]
        rates = [
            (AUC, metrics.roc_auc(score, label), bootstrap.roc_auc),
            (EER, metrics.equal_error_rate(score, label), bootstrap.equal_error_rate),
        ]
        every_pair = np.ones(len(label), bool)
        figures = [
            (metric, value, 0.5, replicates(score, label, code, *sampled), every_pair)
            for metric, value, replicates in rates
        ]
        every += [
            results.measured(
                value,
                chance,
                replicates,
                protocol=PROTOCOL,
                metric=metric,
                direction=condition.name,
                tag=tag,
                num_trials=int(np.count_nonzero(kind)),
                num_identities=len(np.unique(code[kind])),
                resampled=resampled,
                notes=notes,
                details=condition.facts,
            )
            for metric, value, chance, replicates, kind in [*figures, *means]
        ]
    return every


def _mean(
    score: np.ndarray, code: np.ndarray, kind: np.ndarray, sampled: tuple[int, int]
) -> np.ndarray:
    its = np.unique(code[kind], return_inverse=True)[1]
    return bootstrap.mean(score[kind], its, *sampled)
