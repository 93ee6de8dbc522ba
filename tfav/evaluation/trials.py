"""Verification on trial lists of recordings: are two clips of one speaker?

The protocol of spec 2c (VoxCeleb): a list `label,wav1,wav2`, and the score of a trial is the cosine
of the two clips' logit vectors, fused or of one modality.
"""

import csv
import math
import os
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfav import files, registry
from tfav.evaluation import bootstrap, metrics, retrieval

MAX_MISSING_FRACTION = 0.01
_BLOCK_NUMBERS = 2**22  # of logits held at a time


class Trials(NamedTuple):
    """The trials of a list.

    Attributes:
      label: [T] bool, whether both clips are of one speaker.
      first: T names of clips, without a leading slash.
      second: T names of clips, without a leading slash.
    """

    label: np.ndarray
    first: list[str]
    second: list[str]


def read(path: str | os.PathLike) -> Trials:
    """Reads a trial list, gzipped or not.

    A line is `label,wav1,wav2` or, as VoxCeleb publishes them, the same three with spaces between;
    the label is 1 (one speaker) or 0. A first line with another label is a header.

    Raises:
      UserError: the file cannot be read, a line is malformed, or there is no trial.
    """
    try:
        lines = files.content(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise registry.UserError(
            f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8."
        ) from error
    found = []
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    for place, (number, line) in enumerate(numbered):
        cells = next(csv.reader([line])) if "," in line else line.split()
        cells = [cell.strip() for cell in cells]
        if len(cells) != 3 or not all(cells):
            raise registry.UserError(
                f"{path} line {number} has {len(cells)} cells, expected three: label, clip, clip."
            )
        if cells[0] in ("0", "1"):
            found.append(cells)
        elif place:
            raise registry.UserError(
                f"{path} line {number} has the label {cells[0]!r}: write 1 for one speaker or 0."
            )
    if not found:
        raise registry.UserError(f"{path} holds no trial: expected lines of label,wav1,wav2.")
    label, *names = zip(*found)
    first, second = ([name.lstrip("/") for name in column] for column in names)
    return Trials(np.array(label) == "1", first, second)


def evaluate(
    path: str | os.PathLike,
    ids: Sequence[str],
    logits: Mapping[str, np.ndarray],
    *,
    speakers: Sequence[str] | None = None,
    present: Mapping[str, np.ndarray] | None = None,
    tag: str = "",
    num_bootstrap: int = 1000,
    seed: int = 0,
    max_missing_fraction: float = MAX_MISSING_FRACTION,
) -> list[dict[str, Any]]:
    """Returns AUC, EER and minDCF of each direction, as `protocols.evaluate` does.

    A listed clip is the row of that id, a leading slash aside, or else the only row whose id is the
    same without its ending (`x/y/1.wav` is `x/y/1.mp4`). A trial of an unknown clip is left out and
    noted; so is, for a single modality, one of a clip that lacks it.

    Args:
      path: a trial list.
      ids: N rows of the data set.
      logits: `fused` and each modality -> [N, C].
      speakers: of the rows, whom the intervals resample; None: the first folder of the ids.
      present: modality -> [N] bool; modalities not named are present everywhere.
      tag: for the record; empty: the list's name without its endings.
      num_bootstrap: resamples of the first clips' speakers; 0 gives no interval.
      seed: of the resamples.
      max_missing_fraction: of the listed clips, which may be unknown.

    Raises:
      UserError: a malformed list, too many unknown clips, trials of one kind only, or logits that
        are not finite.
      ValueError: shapes differ, or an id comes twice.
    """
    trials = read(path)
    tag = tag or os.path.basename(path).split(".")[0]
    first, second, notes = _rows(path, trials, ids, max_missing_fraction)
    known = (first >= 0) & (second >= 0)
    if speakers is None:
        speakers = [name.lstrip("/").split("/")[0] for name in ids]
    speakers = np.asarray(speakers)
    origin = {"list": os.path.basename(path), "sha256": files.sha256(path)}
    results = []
    for direction, values in logits.items():
        values = np.asarray(values)
        if len(values) != len(ids) or len(speakers) != len(ids):
            raise ValueError(f"{len(ids)} ids, {len(speakers)} speakers, {len(values)} logits.")
        there = np.asarray((present or {}).get(direction, np.ones(len(ids), bool)))
        if not there.any():
            continue
        kept = known & there[first] & there[second]
        lacking = int((known & ~kept).sum())
        noted = [*notes]
        if lacking:
            noted.append(f"{tag}: {lacking} of {len(known)} trials have a clip without {direction}")
            noted[-1] += " and are left out of its own figures."
        label, rows = trials.label[kept], (first[kept], second[kept])
        if not label.any() or label.all():
            kind = "of one speaker" if label.any() else "of two speakers"
            raise registry.UserError(
                f"{path}: all {len(label)} trials with {direction} are {kind}, where an error rate "
                "says nothing: use a list with both kinds, made for this data set."
            )
        score = _cosine(path, direction, values, ids, *rows)
        code = np.unique(speakers[rows[0]], return_inverse=True)[1]
        for metric, (value, chance, (low, high)) in _figures(
            score, label, code, num_bootstrap, seed
        ).items():
            result = {
                "protocol": "trials",
                "stratum": "unrestricted",
                "direction": direction,
                "n": None,
                "tag": tag,
                "metric": metric,
                "value": value,
                "chance": chance,
                "low": low,
                "high": high,
                "num_trials": len(label),
                "num_identities": int(code.max()) + 1,
                **origin,
            }
            results.append({**result, "notes": noted} if noted else result)
    return results


def _figures(score, label, code, num_bootstrap: int, seed: int) -> dict[str, tuple]:
    """Returns metric -> (value, chance, interval)."""
    rest = score, label, code, num_bootstrap, seed
    return {
        "auc": (metrics.roc_auc(score, label), 0.5, bootstrap.auc_interval(*rest)),
        "eer": (
            metrics.equal_error_rate(score, label),
            0.5,
            bootstrap.equal_error_interval(*rest),
        ),
        "min_dcf": (metrics.min_dcf(score, label), 1.0, bootstrap.min_dcf_interval(*rest)),
    }


def _rows(
    path: str | os.PathLike, trials: Trials, ids: Sequence[str], max_missing_fraction: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Returns the row of either clip of each trial, [T] int each, -1 if unknown, and notes."""
    exact = {name.lstrip("/"): row for row, name in enumerate(ids)}
    if len(exact) < len(ids):
        raise ValueError(f"{len(ids) - len(exact)} of {len(ids)} ids come twice.")
    stems: dict[str, list[int]] = {}
    for name, row in exact.items():
        stems.setdefault(posixpath.splitext(name)[0], []).append(row)
    row_of, missing = {}, []
    for name in dict.fromkeys([*trials.first, *trials.second]):
        alike = stems.get(posixpath.splitext(name)[0], [])
        row_of[name] = exact.get(name, alike[0] if len(alike) == 1 else -1)
        if row_of[name] < 0:
            missing.append(name)
    first, second = (np.array([row_of[n] for n in side]) for side in (trials.first, trials.second))
    if not missing:
        return first, second, []
    text = (
        f"{len(missing)} of its {len(row_of)} clips are not in the data "
        f"(first: {', '.join(missing[:3])})"
    )
    if len(missing) > math.floor(max_missing_fraction * len(row_of) + 1e-9):
        raise registry.UserError(
            f"{path}: {text}, more than the {100 * max_missing_fraction:g} % that may be missing: "
            "use a list made for this data set, or prepare the data set with these clips."
        )
    lost = int(((first < 0) | (second < 0)).sum())
    note = f"{text}; {lost} of {len(first)} trials that name them are left out."
    return first, second, [f"{os.path.basename(path)}: {note}"]


def _cosine(path, direction: str, logits, ids, first, second) -> np.ndarray:
    """Returns [T] float32 the cosine of the logits of two rows each, `retrieval.rounded`."""
    used = np.unique([first, second])
    broken = used[~np.isfinite(logits[used]).all(axis=1)]
    if len(broken):
        raise registry.UserError(
            f"{path}: the {direction} logits of {len(broken)} of {len(used)} clips are NaN or "
            f"infinite (first: {ids[broken[0]]}): look at that file and at the checkpoint."
        )
    score = []
    size = max(1, _BLOCK_NUMBERS // logits.shape[1])
    for start in range(0, len(first), size):
        sides = (retrieval.normalize(logits[r[start : start + size]]) for r in (first, second))
        score.append(np.einsum("tc,tc->t", *sides))
    return retrieval.rounded(np.concatenate(score))
