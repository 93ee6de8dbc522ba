"""Do sound and picture belong together? Matched against mismatched pairs. NumPy only."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfav import registry
from tfav.evaluation import bootstrap, metrics

MISMATCHES = 10  # drawn for each sound


def draw(
    score: np.ndarray, label: Sequence[str] | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the scores of matched pairs [N], and of up to ten mismatches a sound [N, M].

    Args:
      score: [N, N], sound i with picture j; i = j belong together.
      label: [N]; mismatches are then pictures of another label. None: any other picture.
      seed: of the draw, the same rows for the same N and labels.

    Raises:
      UserError: a sound without a mismatch.
    """
    score = np.asarray(score, np.float64)
    other = ~np.eye(len(score), dtype=bool)
    if label is not None:
        label = np.asarray(label)
        other &= label[:, None] != label
    least = int(other.sum(axis=1).min())
    if not least:
        raise registry.UserError(
            "a sound has no picture that does not belong to it: give rows of two labels or more."
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
    label: Sequence[str],
    *,
    tag: str,
    num_bootstrap: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Returns result rows, see `protocols.evaluate`: the AUC, intervals over the sounds' rows.

    `any other picture`: mismatches are any other rows. `other label`, where the data has several:
    rows of another label, since a picture of the same class may fit as well.

    Args:
      score: [N, N], sound i with picture j.
      label: [N], for judging only.
      tag: of the result.
      num_bootstrap: resamples of sounds for the 95 % interval; 0 gives none.
      seed: of mismatches and resamples.
    """
    rows = []
    kinds: dict[str, Sequence[str] | None] = {"any other picture": None}
    if len(set(label)) > 1:
        kinds["other label"] = label
    for kind, labels in kinds.items():
        matched, mismatched = draw(score, labels, seed)
        values = np.concatenate([matched[:, None], mismatched], axis=1)
        right = np.zeros(values.shape, bool)
        right[:, 0] = True
        row = np.repeat(np.arange(len(values)), values.shape[1])
        low, high = bootstrap.auc_interval(values.ravel(), right.ravel(), row, num_bootstrap, seed)
        rows.append(
            {
                "tag": tag,
                "protocol": "correspondence",
                "direction": kind,
                "stratum": "unrestricted",
                "n": None,
                "metric": "correspondence_auc",
                "value": auc(matched, mismatched),
                "chance": 0.5,
                "low": low,
                "high": high,
                "num_trials": values.size,
                "num_identities": len(values),
                "list": None,
                "sha256": None,
            }
        )
    return rows
