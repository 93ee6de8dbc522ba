"""Temperature scaling: the number that logits are divided by to be as sure as they are right."""

import numpy as np
from scipy import optimize, special

from tfav.evaluation import classification
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

SCALED_ECE = Metric(
    "scaled_ece",
    "calibration error, rescaled",
    lower_is_better=True,
    definition="Calibration error, rescaled, is that of the fused logits divided by the "
    "temperature that suits val best. It has no interval: resampling adds noise to every bin.",
    of_one_run=True,
)
TEMPERATURE = Metric(
    "temperature",
    "temperature",
    unit="",
    digits=3,
    definition="Above a temperature of 1 the model is surer than it should be. It has no interval: "
    "it is fitted on val, once.",
    of_one_run=True,
)
METRICS = (SCALED_ECE, TEMPERATURE)
MOST = 20.0  # and one over it: where every row is right no temperature is low enough


def fit(logits: np.ndarray, label: np.ndarray) -> float:
    """Returns the temperature in [1 / `MOST`, `MOST`] of the least negative log-likelihood.

    That is convex in one over the temperature.

    Args:
      logits: [N, C].
      label: [N] int.
    """
    logits = np.asarray(logits, np.float64)
    rows = np.arange(len(label))

    def loss(inverse: float) -> float:
        return -float(special.log_softmax(inverse * logits, axis=1)[rows, label].mean())

    found = optimize.minimize_scalar(
        loss, bounds=(1 / MOST, MOST), method="bounded", options={"xatol": 1e-9}
    )
    return float(1.0 / found.x)


def evaluate(
    fitted: tuple[np.ndarray, np.ndarray],
    evaluated: tuple[np.ndarray, np.ndarray],
    *,
    tag: str,
    protocol: str,
) -> list[results.Result]:
    """Returns the temperature of a classifier that suits one split, and the ECE of another by it.

    Args:
      fitted: logits [N, C] and labels [N] of the split it is fitted on.
      evaluated: likewise, of the one that is evaluated.
      tag: which part of the data was evaluated.
      protocol: of the record.
    """
    value = fit(*fitted)
    logits, label = evaluated
    error = classification.expected_calibration_error(np.asarray(logits) / value, label)
    return [
        results.measured(
            figure,
            None,
            None,
            protocol=protocol,
            metric=metric,
            direction=classification.FUSED,
            tag=tag,
            num_trials=len(of),
            num_identities=len(of),
            resampled="rows",
        )
        for metric, figure, of in ((SCALED_ECE, error, label), (TEMPERATURE, value, fitted[1]))
    ]
