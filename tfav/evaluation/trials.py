"""Verification on trial lists of items: are two of them of one speaker?

The protocol of spec 2c (VoxCeleb): a list `label,item1,item2`. The score of a trial is the cosine
of a vector of the first item and one of the second: logits, fused or of one modality, of a
classifier; embeddings, of equal or unlike modalities, of a recipe that has one space for them.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfav import files, registry
from tfav.evaluation import bootstrap, cosines, metrics, retrieval, trial_lists
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "trials"
AUC = Metric("auc", "verification AUC")
EER = Metric("eer", "verification EER", lower_is_better=True, short="EER")
MIN_DCF = Metric(
    "min_dcf",
    "verification minDCF",
    unit="",
    digits=3,
    lower_is_better=True,
    short="minDCF",
    definition="minDCF is the least of 100 (0.01 FNR + 0.99 FPR) over all thresholds; rejecting "
    "everything costs 1.",
)
METRICS = (AUC, EER, MIN_DCF)
MAX_MISSING_FRACTION = 0.01


class Vectors(NamedTuple):
    """What items are compared by.

    Attributes:
      values: [N, D] of N rows; what they hold where a row lacks them does not matter.
      present: [N] bool, which rows have them; None: all.
    """

    values: np.ndarray
    present: np.ndarray | None = None

    def there(self) -> np.ndarray:
        """Returns [N] bool, which rows have them."""
        return np.ones(len(self.values), bool) if self.present is None else self.present


def evaluate(
    path: str | os.PathLike,
    ids: Sequence[str],
    directions: Mapping[str, tuple[Vectors, Vectors]],
    *,
    speakers: Sequence[str] | None = None,
    tag: str = "",
    num_bootstrap: int = 1000,
    seed: int = 0,
    max_missing_fraction: float = MAX_MISSING_FRACTION,
) -> list[results.Result]:
    """Returns AUC, EER and minDCF of each direction that the list asks for.

    A trial of an unknown item is left out and noted; so is, for a direction, one whose items lack
    its vectors. Where a direction compares unlike vectors, a trial that names the items the other
    way round counts as well.

    Args:
      path: a trial list.
      ids: N rows of the data set.
      directions: name to what the first and what the second item of a trial is compared by.
      speakers: Speaker of each row, which the intervals resample; None: first folder of the ids.
      tag: for the record; empty: the list's name without its endings.
      num_bootstrap: resamples of the first items' speakers; 0 gives no interval.
      seed: Random seed of the resamples.
      max_missing_fraction: Largest share of the listed items that may be unknown.

    Raises:
      UserError: a malformed list, too many unknown items, no trial with the vectors of any
        direction, trials of one kind only, or vectors that are not finite.
      ValueError: shapes differ, or an id comes twice.
    """
    trials = trial_lists.read(path)
    tag = tag or os.path.basename(path).split(".")[0]
    first, second, notes = trial_lists.rows(path, trials, ids, max_missing_fraction)
    known = (first >= 0) & (second >= 0)
    if speakers is None:
        speakers = [name.lstrip("/").split("/")[0] for name in ids]
    speaker = np.asarray(speakers)
    origin = {"list_name": os.path.basename(path), "sha256": files.sha256(path)}
    found = []
    for direction, sides in directions.items():
        if not all(len(side.values) == len(ids) == len(speakers) for side in sides):
            sizes = [len(side.values) for side in sides]
            raise ValueError(f"{len(ids)} ids, {len(speakers)} speakers, {sizes} vectors.")
        left, right = (side.there() for side in sides)
        straight = known & left[first] & right[second]
        turned = known & ~straight & left[second] & right[first]
        kept = straight | turned
        if not kept.any():
            continue
        noted = list(notes)
        lacking = int((known & ~kept).sum())
        if lacking:
            noted.append(
                f"{tag}: {lacking} of {len(known)} trials have an item without {direction} and are "
                "left out of its own figures."
            )
        label = trials.label[kept]
        if not label.any() or label.all():
            kind = "of one speaker" if label.any() else "of two speakers"
            raise registry.UserError(
                f"{path}: all {len(label)} trials with {direction} are {kind}, where an error rate "
                "says nothing: use a list with both kinds, made for this data set."
            )
        rows = np.where(turned, second, first)[kept], np.where(turned, first, second)[kept]
        score = _cosine(path, direction, sides, ids, *rows)
        code = np.unique(speaker[first[kept]], return_inverse=True)[1]
        sampled = score, label, code, num_bootstrap, seed
        found += [
            results.measured(
                value,
                chance,
                replicates,
                protocol=PROTOCOL,
                metric=metric,
                direction=direction,
                tag=tag,
                num_trials=len(label),
                num_identities=int(code.max()) + 1,
                resampled="the speakers of the trials' first items",
                notes=tuple(noted),
                **origin,
            )
            for metric, value, chance, replicates in (
                (AUC, metrics.roc_auc(score, label), 0.5, bootstrap.roc_auc(*sampled)),
                (
                    EER,
                    metrics.equal_error_rate(score, label),
                    0.5,
                    bootstrap.equal_error_rate(*sampled),
                ),
                (MIN_DCF, metrics.min_dcf(score, label), 1.0, bootstrap.min_dcf(*sampled)),
            )
        ]
    if not found:
        raise registry.UserError(
            f"{path}: no trial has two items with {' or '.join(directions)}: use a list made for "
            "this data set."
        )
    return found


def _cosine(
    path: str | os.PathLike,
    direction: str,
    sides: tuple[Vectors, Vectors],
    ids: Sequence[str],
    *rows: np.ndarray,
) -> np.ndarray:
    """Returns [T] float32 the cosine of the vectors of two rows each, `retrieval.rounded`."""
    asked = [np.concatenate(rows)] * 2 if sides[0] is sides[1] else rows
    units, places = [], []
    for side, of_side, row in zip(sides, asked, rows):
        used = np.unique(of_side)
        values = np.asarray(side.values)[used]
        broken = used[~np.isfinite(values).all(axis=1)]
        if len(broken):
            raise registry.UserError(
                f"{path}: the {direction} vectors of {len(broken)} of {len(used)} items are NaN or "
                f"infinite (first: {ids[broken[0]]}): look at that file and at the checkpoint."
            )
        units.append(retrieval.normalize(values))
        places.append(np.searchsorted(used, row))
    return cosines.pairs(units[0], units[1], places[0], places[1][:, None])[:, 0]
