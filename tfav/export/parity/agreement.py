"""How well two sets of answers agree: embeddings, logits with their classes, maps, scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfav.export.lite import precisions

# Items whose embedding turned by more than this are listed: nothing that a float file does.
_DRIFT = 0.999


def compare(ids: Sequence[str], reference: np.ndarray, artefact: np.ndarray) -> dict[str, Any]:
    """Returns the agreement of two sets of embeddings.

    Args:
      ids: N names, for the worst of them.
      reference: [N, D] float32.
      artefact: [N, D] float32.

    Returns:
      `cosine_mean`, `cosine_min`, `worst_item` (its id), `max_abs_error`, `num_items`, `drifting`
      (id to cosine of the items below 0.999, worst first).
    """
    a, b = (np.asarray(x, np.float64) for x in (reference, artefact))
    return _agreement(ids, _cosine(a, b), np.abs(a - b).max())


def compare_logits(
    ids: Sequence[str], reference: np.ndarray, artefact: np.ndarray, precision: str
) -> dict[str, Any]:
    """Returns the agreement of two sets of logits.

    The classes of a row agree when both have their largest logit at the same class. Where they do
    not, it is a tie when the reference's logits of the two classes differ by at most a share of its
    row's spread (largest less smallest logit), `Precision.tie_share`. Else it is a flip, which no
    export survives.

    Args:
      ids: N names.
      reference: [N, C] float32.
      artefact: [N, C] float32.
      precision: Precision of the artefact.

    Returns:
      What `compare` does, two equal rows having cosine 1, zeros too (a silent modality has such),
      and `argmax_agreement` (share of rows), `argmax_ties` and `argmax_flips` (ids).
    """
    a, b = (np.asarray(x, np.float64) for x in (reference, artefact))
    cosine = _cosine_or_equal(a, b)
    rows = np.arange(len(a))
    top, other = a.argmax(axis=1), b.argmax(axis=1)
    share = precisions.find(precision).tie_share
    tied = a[rows, top] - a[rows, other] <= share * np.ptp(a, axis=1)
    return {
        **_agreement(ids, cosine, np.abs(a - b).max()),
        "argmax_agreement": float((top == other).mean()),
        "argmax_ties": [name for name, tie in zip(ids, (top != other) & tied) if tie],
        "argmax_flips": [name for name, flip in zip(ids, (top != other) & ~tied) if flip],
    }


def compare_maps(
    ids: Sequence[str], reference: np.ndarray, artefact: np.ndarray, precision: str = "float32"
) -> dict[str, Any]:
    """Returns the agreement of two sets of maps in [0, 1].

    Args:
      ids: N names.
      reference: [N, H, W] float32, or [N, F, H, W] of several frames.
      artefact: of the same shape.
      precision: Precision of the artefact.

    Returns:
      What `compare` does, two equal maps having cosine 1, zeros too (one that says nothing), and
      `max_error_item` (id) and `max_error_allowed`: above it no export survives.
    """
    a, b = (np.asarray(x, np.float64).reshape(len(ids), -1) for x in (reference, artefact))
    error = np.abs(a - b).max(axis=1)
    row = precisions.find(precision)
    return {
        **_agreement(ids, _cosine_or_equal(a, b), error.max()),
        "max_error_item": ids[int(error.argmax())],  # that of a NaN, where there is one
        "max_error_allowed": row.tie_share if row.map_error is None else row.map_error,
    }


def compare_scores(
    ids: Sequence[str],
    reference: np.ndarray,
    artefact: np.ndarray,
    threshold: float | None,
    precision: str,
) -> dict[str, Any]:
    """Returns the agreement of two sets of scores of pairs.

    Args:
      ids: N names.
      reference: [N].
      artefact: [N].
      threshold: Score from which a pair is taken for matched; None: none is.
      precision: Precision of the artefact.

    Returns:
      `max_abs_error`, `max_error_item` (id), `max_error_allowed`: `Precision.tie_share` of the
      largest score, and of 1 at least; above it no export survives. `num_items`, `drifting` (none)
      and, with a threshold, `matched_ties` (ids on another side of it than the checkpoint, which
      are no further from it than that).
    """
    a, b = (np.asarray(x, np.float64) for x in (reference, artefact))
    error = np.abs(a - b)
    share = precisions.find(precision).tie_share
    found: dict[str, Any] = {
        "max_abs_error": float(error.max()),
        "max_error_item": ids[int(error.argmax())],
        "max_error_allowed": share * max(1.0, float(np.abs(a).max())),
        "num_items": len(ids),
        "drifting": {},
    }
    if threshold is not None:
        other = (a >= threshold) != (b >= threshold)
        found["matched_ties"] = [name for name, turned in zip(ids, other) if turned]
    return found


def _cosine_or_equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where((a == b).all(axis=1), 1.0, _cosine(a, b))


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / np.maximum(norms, 1e-24)


def _agreement(ids: Sequence[str], cosine: np.ndarray, error: float) -> dict[str, Any]:
    worst = int(np.argmin(np.where(np.isfinite(cosine), cosine, -np.inf)))
    finite = np.where(np.isfinite(cosine), cosine, -np.inf)
    order = [i for i in np.argsort(finite, kind="stable") if not finite[i] >= _DRIFT]
    return {
        "cosine_mean": float(cosine.mean()),
        "cosine_min": float(cosine[worst]),
        "worst_item": ids[worst],
        "max_abs_error": float(error),
        "num_items": len(ids),
        "drifting": {ids[i]: float(cosine[i]) for i in order},
    }
