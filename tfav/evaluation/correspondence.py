"""Do audio and image belong together? Matched against mismatched pairs."""

import numpy as np
from numpy.typing import ArrayLike

from tfav import registry
from tfav.evaluation import bootstrap, metrics
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "correspondence"
MISMATCHES = 10  # drawn per row
AUC = Metric(
    "correspondence_auc",
    "correspondence AUC",
    definition="Correspondence AUC is the chance that an audio clip and its own image outscore the "
    f"clip and another image; up to {MISMATCHES} other images are drawn per clip.",
)
METRICS = (AUC,)


def draw(score: np.ndarray, label: ArrayLike | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the scores of matched pairs [N], and of up to ten mismatches per row [N, M].

    Args:
      score: [N, N], audio of row i with image of row j; i = j belong together.
      label: [N]; mismatches are then images of another label. None: any other image.
      seed: Random seed of the draw, the same rows for the same N and labels.

    Raises:
      UserError: a row without a mismatch.
    """
    score = np.asarray(score, np.float64)
    other = ~np.eye(len(score), dtype=bool)
    if label is not None:
        code = np.asarray(label)
        other &= code[:, None] != code
    least = int(other.sum(axis=1).min())
    if not least:
        raise registry.UserError(
            "a row has no image that does not belong to its audio: give rows of two labels or more."
        )
    if not np.isfinite(score).all():
        raise registry.UserError("a pair's score is NaN or infinite: look at the checkpoint.")
    draws = np.random.default_rng(seed).random(score.shape)
    chosen = np.argsort(np.where(other, draws, 2.0), axis=1)[:, : min(least, MISMATCHES)]
    return np.diag(score).copy(), np.take_along_axis(score, chosen, axis=1)


def auc(matched: np.ndarray, mismatched: np.ndarray) -> float:
    """Returns the chance that a matched pair [N] outscores a mismatched one [N, M]; ties half."""
    score = np.concatenate([matched, mismatched.ravel()])
    return metrics.roc_auc(score, np.arange(len(score)) < len(matched))


def evaluate(
    score: np.ndarray,
    label: ArrayLike,
    *,
    tag: str,
    num_bootstrap: int,
    seed: int,
) -> list[results.Result]:
    """Returns the AUC of both kinds of mismatch, with intervals over rows.

    `any other picture`: mismatches are any other rows. `other label`, where the data has several:
    rows of another label, since an image of the same class may fit as well.

    Args:
      score: [N, N], audio of row i with image of row j.
      label: [N], which the model has not seen.
      tag: which part of the data, for the record.
      num_bootstrap: resamples of rows for the 95 % interval; 0 gives none.
      seed: Random seed of mismatches and resamples.
    """
    found = []
    kinds: dict[str, ArrayLike | None] = {"any other picture": None}
    if len(np.unique(label)) > 1:
        kinds["other label"] = label
    for kind, labels in kinds.items():
        matched, mismatched = draw(score, labels, seed)
        values = np.concatenate([matched[:, None], mismatched], axis=1)
        right = np.zeros(values.shape, bool)
        right[:, 0] = True
        row = np.repeat(np.arange(len(values)), values.shape[1])
        found.append(
            results.measured(
                auc(matched, mismatched),
                0.5,
                bootstrap.roc_auc(values.ravel(), right.ravel(), row, num_bootstrap, seed),
                protocol=PROTOCOL,
                metric=AUC,
                direction=kind,
                tag=tag,
                num_trials=values.size,
                num_identities=len(values),
                resampled="rows",
            )
        )
    return found
