"""How well a classifier of several modalities tells classes apart: fused, and by each alone.

Logits are [N, C], labels [N] int. A score that ties with the right class counts as wrong, so that
logits that are all alike (an encoder that gives zeros) reach nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tfav.evaluation import bootstrap, class_checks
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "classification"
NUM_BINS = 15
FUSED = "fused"
ACCURACY = Metric(
    "accuracy",
    "accuracy",
    definition="Accuracy is the share of rows whose own class scores highest, a tie being wrong; "
    "chance is the most frequent class's share.",
)
ECE = Metric(
    "ece",
    "calibration error",
    lower_is_better=True,
    definition=f"Calibration error (ECE) is the mean gap between confidence and accuracy over "
    f"{NUM_BINS} equally wide bins of confidence, weighted by their rows. "
    "It has no interval: resampling adds noise to the gap of every bin.",
)
NLL = Metric(
    "nll",
    "NLL (nats)",
    unit="nats",
    digits=3,
    lower_is_better=True,
    short="NLL",
    definition="NLL is the mean of -ln p of the right class, in nats; chance is that of always "
    "saying the classes' shares.",
)
MACRO_F1 = Metric(
    "macro_f1",
    "macro F1",
    definition="Macro F1 is the mean over the classes that rows have of 2 TP / (2 TP + FP + FN), "
    "each class alike however many rows it has; chance is that of always saying the most frequent "
    "class. It has no interval: a resample may lack a class.",
)
METRICS = (ACCURACY, ECE, NLL, MACRO_F1)


def accuracy(logits: ArrayLike, label: ArrayLike) -> float:
    """Returns the share of rows, logits [N, C] and label [N], whose own class scores highest."""
    return float(np.mean(predict(logits, label) == np.asarray(label)))


def negative_log_likelihood(logits: ArrayLike, label: ArrayLike) -> float:
    """Returns the mean over rows of -ln softmax(logits [N, C])[label [N]], in nats."""
    return float(np.mean(_surprise(logits, label)))


def expected_calibration_error(
    logits: ArrayLike, label: ArrayLike, num_bins: int = NUM_BINS
) -> float:
    """Returns sum_b |sum over bin b of (confidence - right)| / N.

    Bin i holds the confidences in (i / num_bins, (i + 1) / num_bins].

    Args:
      logits: [N, C].
      label: [N] int. Confidence is the largest softmax probability, right is 1 or 0.
      num_bins: how many bins, equally wide.
    """
    _, gap, bin_of = calibration(logits, label, num_bins)
    return float(np.abs(np.bincount(bin_of, weights=gap)).sum() / len(gap))


def confusion_matrix(logits: ArrayLike, label: ArrayLike) -> np.ndarray:
    """Returns [C, C] int: rows of true class i that were taken for class j."""
    size = np.shape(logits)[1]
    pairs = np.asarray(label, np.int64) * size + predict(logits, label)
    return np.bincount(pairs, minlength=size * size).reshape(size, size)


def macro_f1(logits: ArrayLike, label: ArrayLike) -> float:
    """Returns the mean F1 over the classes that rows have, of logits [N, C] and label [N]."""
    matrix = confusion_matrix(logits, label)
    rows, taken = matrix.sum(axis=1), matrix.sum(axis=0)
    there = rows > 0
    return float(np.mean(2.0 * np.diag(matrix)[there] / (rows + taken)[there]))


def probability(logits: ArrayLike) -> np.ndarray:
    """Returns softmax(logits), [..., C] float64."""
    return np.exp(special.log_softmax(np.asarray(logits, np.float64), axis=-1))


def predict(logits: ArrayLike, label: ArrayLike) -> np.ndarray:
    """Returns [N] the class of the largest logit; in a tie with the right class, the other one."""
    logits, label = np.asarray(logits), np.asarray(label, np.int64)
    rows = np.arange(len(label))
    others = logits.astype(np.float64)
    others[rows, label] = -np.inf
    best = others.argmax(axis=1)
    return np.where(logits[rows, label] > others[rows, best], label, best)


def evaluate(
    logits: Mapping[str, np.ndarray],
    label: np.ndarray,
    *,
    class_names: Sequence[str],
    groups: ArrayLike | None = None,
    grouped_by: str = "group",
    present: Mapping[str, np.ndarray] | None = None,
    tag: str = "test",
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> list[results.Result]:
    """Returns accuracy, calibration error, NLL, macro F1 of each direction: `fused`, or a modality.

    A modality may be missing at test time: its own figures are then over the rows that have it, the
    fused ones over all rows, each scored with what is present; `notes` say so. A modality that no
    row has gives no figures. Chance is the most frequent class's share (accuracy), the entropy of
    the classes' shares (NLL), None (ECE), always the most frequent class (macro F1).

    Args:
      logits: `fused` and each modality -> [N, C]; what they hold where a modality is absent does
        not matter.
      label: [N] int, 0 .. C-1.
      class_names: C names.
      groups: [N] names, such as speakers, which the intervals resample; None: they resample rows.
      grouped_by: what the groups are, in one word, such as `speaker`.
      present: modality -> [N] bool; modalities not named are present everywhere.
      tag: which part of the data, for the record.
      num_bootstrap: resamples behind each interval; 0 gives none, as ECE and macro F1 have none.
      seed: Random seed of the resamples.

    Raises:
      UserError: no row, one class only, a label outside the classes, a logit that is not finite, or
        a row without any modality.
      ValueError: shapes differ.
    """
    label = np.asarray(label)
    present = presence(logits, present, len(label))
    class_checks.check(logits, label, class_names, present, tag, FUSED)
    found = []
    for direction, values in logits.items():
        rows = np.flatnonzero(present[direction])
        if not len(rows):
            continue
        code = np.arange(len(rows))
        if groups is not None:
            code = np.unique(np.asarray(groups)[rows], return_inverse=True)[1]
        notes: tuple[str, ...] = ()
        if len(rows) < len(label):
            notes = (
                f"{tag}: {len(label) - len(rows)} of {len(label)} rows have no {direction}: its "
                "own figures are over the others, the fused ones over all rows.",
            )
        found += [
            results.measured(
                value,
                chance,
                replicates,
                protocol=PROTOCOL,
                metric=metric,
                direction=direction,
                tag=tag,
                num_trials=len(rows),
                num_identities=int(code.max()) + 1,
                resampled="rows" if groups is None else f"groups of rows of the same {grouped_by}",
                notes=notes,
            )
            for metric, value, chance, replicates in _figures(
                np.asarray(values)[rows], label[rows], code, num_bootstrap, seed
            )
        ]
    return found


def _figures(
    logits: np.ndarray, label: np.ndarray, code: np.ndarray, num_bootstrap: int, seed: int
) -> list[tuple[Metric, float, float | None, np.ndarray | None]]:
    """Returns (metric, value, chance, replicates) of each."""
    right = (predict(logits, label) == label).astype(np.float64)
    surprise = _surprise(logits, label)
    share = np.unique(label, return_counts=True)[1] / len(label)
    sampled = code, num_bootstrap, seed
    entropy = -(share @ np.log(share))
    constant = 2.0 * share.max() / (1.0 + share.max()) / len(share)
    return [
        (ACCURACY, right.mean(), share.max(), bootstrap.mean(right, *sampled)),
        (ECE, expected_calibration_error(logits, label), None, None),
        (NLL, surprise.mean(), entropy, bootstrap.mean(surprise, *sampled)),
        (MACRO_F1, macro_f1(logits, label), constant, None),
    ]


def presence(
    logits: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray] | None, num_rows: int
) -> dict[str, np.ndarray]:
    """Returns [N] bool of every direction; the fused one is there in every row."""
    found = {direction: np.ones(num_rows, bool) for direction in logits}
    for modality, there in (present or {}).items():
        if np.shape(there) != (num_rows,):
            raise ValueError(
                f"present[{modality!r}] has shape {np.shape(there)}, not [{num_rows}]."
            )
        found[modality] = np.asarray(there, bool)
    return found


def _surprise(logits: ArrayLike, label: ArrayLike) -> np.ndarray:
    log_p = special.log_softmax(np.asarray(logits, np.float64), axis=1)
    return -np.take_along_axis(log_p, np.asarray(label)[:, np.newaxis], axis=1)[:, 0]


def calibration(
    logits: ArrayLike, label: ArrayLike, num_bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns right [N] float64, confidence - right [N], and the bin of each row [N] int."""
    confidence = probability(logits).max(axis=1)
    right = (predict(logits, label) == np.asarray(label)).astype(np.float64)
    bin_of = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    return right, confidence - right, bin_of
