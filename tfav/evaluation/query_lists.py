"""How an embedding space is judged on query lists: matching, verification and retrieval.

The protocols of SSoS (spec 1c), voice to face and back, unrestricted and same-gender. The score of
a pair is always the cosine of its two embeddings. Embed once, then this is NumPy.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tfav import files, registry
from tfav.annotations import lists
from tfav.evaluation import bootstrap, completeness, metrics, retrieval
from tfav.evaluation import space as spaces

RECALL_AT = (1, 5, 10)


class Figure(NamedTuple):
    """One measured number of one list.

    Attributes:
      metric: `accuracy`, `auc`, `eer`, `map` or `recall@k`.
      value: in [0, 1].
      chance: what random embeddings reach.
      low: lower end of the 95 % bootstrap interval over the probes' identities; None without one.
      high: its upper end.
      num_trials: lines of the list, for a retrieval its probes.
      num_identities: of the probes.
      notes: sentences on what the list names and the data lacks.
      threshold: of an EER, the cosine from which a pair is accepted.
    """

    metric: str
    value: float
    chance: float
    low: float | None
    high: float | None
    num_trials: int
    num_identities: int
    notes: tuple[str, ...] = ()
    threshold: float | None = None


def matching(
    path: os.PathLike, space: spaces.Space, direction: str, num_bootstrap: int, seed: int
) -> list[Figure]:
    """1:N accuracy: the share of trials whose positive scores above every negative; a tie is wrong.

    Trials that name an item without embedding are left out and noted, see `spaces.Space.missing`.

    Args:
      path: a matching list.
      space: the embeddings.
      direction: `v2f` or `f2v`.
      num_bootstrap: resamples of identities; 0 gives no interval.
      seed: of the resamples.

    Raises:
      UserError: malformed list, item not embedded, or a positive that is not the probe's identity.
    """
    trials, notes = completeness.trials(path, space, direction, lists.read_matching(path))
    probes, *candidates = zip(*trials)
    probe_modality, other_modality = lists.MODALITIES[direction]
    probe = space.vectors(path, probe_modality, probes)
    identity = space.identities(probes)
    score = []
    for column, ids in enumerate(candidates):
        other = space.vectors(path, other_modality, ids)
        wrong = (space.identities(ids) == identity) != (column == 0)
        if wrong.any():
            first = int(np.argmax(wrong))
            raise registry.UserError(
                f"{path}: item {column + 2} of {int(wrong.sum())} trials contradicts the data's "
                f"identities (first: {probes[first]} {ids[first]}): expected a positive of the "
                "probe's identity, then negatives of others; use the lists made for this data set."
            )
        score.append(spaces.cosine(probe, other))
    hit = score[0] > np.max(score[1:], axis=0)
    code = _codes(identity)
    interval = bootstrap.mean_interval(hit, code, num_bootstrap, seed)
    means = float(hit.mean()), 1 / len(score)
    return [Figure("accuracy", *means, *interval, *_counts(code), notes)]


def verification(
    path: os.PathLike, space: spaces.Space, direction: str, num_bootstrap: int, seed: int
) -> list[Figure]:
    """Area under the ROC and equal error rate of same-or-different pairs; arguments as above."""
    score, label, code, notes = _verification_pairs(path, space, direction)
    auc = metrics.roc_auc(score, label)
    eer = metrics.equal_error_rate(score, label)
    threshold = metrics.equal_error_threshold(score, label)
    auc_interval = bootstrap.auc_interval(score, label, code, num_bootstrap, seed)
    eer_interval = bootstrap.equal_error_interval(score, label, code, num_bootstrap, seed)
    return [
        Figure("auc", auc, 0.5, *auc_interval, *_counts(code), notes),
        Figure("eer", eer, 0.5, *eer_interval, *_counts(code), notes, threshold),
    ]


def retrieve(
    path: os.PathLike, space: spaces.Space, direction: str, num_bootstrap: int, seed: int
) -> list[Figure]:
    """Mean average precision and recall@k, every probe in its whole gallery; arguments as above.

    A probe without a relevant item counts 0 and is noted.

    Raises:
      UserError: also when no probe at all has a relevant item.
    """
    rankings, identity = [], []
    galleries, notes = completeness.galleries(path, space, direction, lists.read_retrieval(path))
    for task in galleries:
        sides = zip(lists.MODALITIES[direction], task)
        vectors = [space.vectors(path, modality, ids) for modality, ids in sides]
        names = [space.identities(ids) for ids in task]
        rankings.append(retrieval.rank(*vectors, *names))
        identity.append(names[0])
    code = _codes(np.concatenate(identity))
    unanswerable = int(sum((r.num_relevant == 0).sum() for r in rankings))
    if unanswerable == len(code):
        raise registry.UserError(
            f"{path}: none of its {len(code)} probes has an item of its identity in the gallery, "
            "so that nothing can be found: use lists made for this data set."
        )
    if unanswerable:
        notes += (
            f"{unanswerable} of {len(code)} probes have no item of their identity in the gallery "
            "and count 0.",
        )
    of_probe = {
        "map": [(r.average_precision, retrieval.chance_average_precision(r)) for r in rankings],
        **{
            f"recall@{k}": [
                (r.first_rank <= k, retrieval.chance_recall_at_k(r, k)) for r in rankings
            ]
            for k in RECALL_AT
        },
    }
    figures = []
    for metric, parts in of_probe.items():
        value, chance = (np.concatenate(part) for part in zip(*parts))
        interval = bootstrap.mean_interval(value, code, num_bootstrap, seed)
        means = float(value.mean()), float(chance.mean())
        figures.append(Figure(metric, *means, *interval, *_counts(code), notes))
    return figures


Protocol = Callable[[os.PathLike, spaces.Space, str, int, int], list[Figure]]

PROTOCOLS: dict[str, Protocol] = {
    "matching": matching,
    "verification": verification,
    "retrieval": retrieve,
}


def evaluate(
    lists_dir: str | os.PathLike,
    tag: str,
    embeddings: spaces.Embeddings,
    labels: Mapping[str, str],
    *,
    num_bootstrap: int = 1000,
    seed: int = 0,
    max_missing_fraction: float = spaces.MAX_MISSING_FRACTION,
) -> list[dict[str, Any]]:
    """Judges the embeddings on every list of a tag.

    Args:
      lists_dir: folder of query lists, named as in `lists`.
      tag: which of them (`test`, `val`, `seen`, ...).
      embeddings: `{"audio": {id: [D]}, "image": {id: [D]}}`, any norm but zero.
      labels: `{id: identity}` of both modalities.
      num_bootstrap: resamples of identities behind each interval; 0 gives none.
      seed: of the resamples.
      max_missing_fraction: of a list's items of a modality, which may be without an embedding: the
        trials that name them are left out.

    Returns:
      One dict a figure, JSON-able: protocol, stratum, direction, n (None but for matching), tag,
      metric, value, chance, low, high, num_trials, num_identities, list (file name), sha256 (of the
      list), threshold (of an EER), and notes (sentences) where there is something to note. Ordered
      by protocol, stratum, n and direction.

    Raises:
      UserError: no list of the tag, a malformed list, too many listed items without embedding, one
        without identity, a gallery without a relevant item, a zero or non-finite embedding.
    """
    space = spaces.Space(embeddings, labels, max_missing_fraction)
    results = []
    for name, path in lists.find(lists_dir, tag):
        judge = PROTOCOLS[name.protocol]
        origin = {"list": path.name, "sha256": files.sha256(path)}
        for figure in judge(path, space, name.direction, num_bootstrap, seed):
            result = {**name._asdict(), **figure._asdict(), **origin}
            notes = [f"{path.name}: {note}" for note in result.pop("notes")]
            if result["threshold"] is None:
                del result["threshold"]
            results.append({**result, "notes": notes} if notes else result)
    return results


def verification_scores(
    lists_dir: str | os.PathLike,
    tag: str,
    embeddings: spaces.Embeddings,
    labels: Mapping[str, str],
    max_missing_fraction: float = spaces.MAX_MISSING_FRACTION,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns {file name: (score [T], label [T] bool)} of the tag's verification lists, to plot.

    Raises:
      UserError: as `evaluate`.
    """
    space = spaces.Space(embeddings, labels, max_missing_fraction)
    return {
        path.name: _verification_pairs(path, space, name.direction)[:2]
        for name, path in lists.find(lists_dir, tag)
        if name.protocol == "verification"
    }


def _verification_pairs(
    path: os.PathLike, space: spaces.Space, direction: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns score [T] float32, label [T] bool, the probe's identity code [T], and notes."""
    trials, notes = completeness.trials(path, space, direction, lists.read_verification(path))
    columns = list(zip(*trials))
    sides = zip(lists.MODALITIES[direction], columns)
    vectors = [space.vectors(path, modality, ids) for modality, ids in sides]
    identity, other = (space.identities(ids) for ids in columns)
    label = identity == other
    if label.all() or not label.any():
        raise registry.UserError(
            f"{path}: all {len(label)} pairs are {'right' if label[0] else 'wrong'}: a "
            "verification list needs right and wrong pairs; use lists made for this data set."
        )
    return spaces.cosine(*vectors), label, _codes(identity), notes


def _codes(identity: np.ndarray) -> np.ndarray:
    """Returns [T] int codes 0 .. K-1 of the names, in alphabetic order."""
    return np.unique(identity, return_inverse=True)[1]


def _counts(code: np.ndarray) -> tuple[int, int]:
    """Returns (num_trials, num_identities)."""
    return len(code), int(code.max()) + 1
