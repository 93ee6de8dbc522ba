"""The tasks on query lists: 1:N matching, verification and retrieval.

The protocols of SSoS (spec 1c), voice to face and back, unrestricted and same-gender. The score of
a pair is always the cosine of its two embeddings. A task is one `ListTask`; a further one needs its
row in `TASKS`, or `by_lists.Lists(tasks)` with a table of one's own.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfav import registry
from tfav.annotations import lists
from tfav.evaluation import bootstrap, completeness, metrics, retrieval
from tfav.evaluation import result as results
from tfav.evaluation import space as spaces
from tfav.evaluation.metric import Metric

RECALL_AT = (1, 5, 10)
RESAMPLED = "the probes' identities"


class Query(NamedTuple):
    """What a task is evaluated on.

    Attributes:
      name: what the list's file name says.
      path: Path of the list.
      space: the embeddings.
      num_bootstrap: resamples of the probes' identities behind each interval; 0 gives none.
      seed: Random seed of the resamples.
    """

    name: lists.ListName
    path: str | os.PathLike
    space: spaces.Space
    num_bootstrap: int = 0
    seed: int = 0

    def result(self, metric: Metric, identity: np.ndarray, **fields: Any) -> results.Result:
        """Returns a figure of the list.

        Args:
          metric: what was measured.
          identity: [T] code of the probe's identity of each trial.
          **fields: `value`, `chance`, `replicates` and what else a `results.Result` has.
        """
        return results.measured(
            **self.name._asdict(),
            metric=metric,
            num_trials=len(identity),
            num_identities=int(identity.max()) + 1,
            resampled=RESAMPLED,
            **fields,
        )


class ListTask(NamedTuple):
    """One task on query lists.

    Attributes:
      form: how its lists are named and read; its `protocol` is the task's name.
      metrics: what it measures.
      evaluate: returns of a `Query` a result per metric; raises UserError where the list does not
        fit the embeddings.
    """

    form: lists.Form
    metrics: Sequence[Metric]
    evaluate: Callable[[Query], list[results.Result]]


ACCURACY = Metric("accuracy", "1:{n} matching")
AUC = Metric("auc", "verification AUC")
EER = Metric("eer", "verification EER", lower_is_better=True, short="EER")
MAP = Metric(
    "map",
    "retrieval mAP",
    digits=2,  # a few percent over a chance of half a percent
    definition="mAP is the mean over the probes of average precision: the mean, over a probe's "
    "matches in the gallery, of the share of matches down to that one. No cut-off; a tie counts "
    "against the match; a probe without a match counts 0; chance is the expected value of a random "
    "order.",
)
RECALL = {k: Metric(f"recall@{k}", f"retrieval recall@{k}") for k in RECALL_AT}


def matching(query: Query) -> list[results.Result]:
    """Returns the share of trials whose positive scores above every negative; a tie is wrong.

    Trials that name an item without embedding are left out and noted, see `spaces.Space.missing`.

    Raises:
      UserError: malformed list, item not embedded, or a positive that is not the probe's identity.
    """
    path, space = query.path, query.space
    modalities = lists.MODALITIES[query.name.direction]
    trials, notes = completeness.trials(
        path, space, query.name.direction, lists.read_matching(path)
    )
    probes, *candidates = zip(*trials)
    probe = space.rows(path, modalities[0], probes)
    other = np.stack([space.rows(path, modalities[1], ids) for ids in candidates], axis=1)
    identity = space.codes(modalities[0], probe)
    right = space.codes(modalities[1], other) == identity[:, None]
    wrong = right != (np.arange(len(candidates)) == 0)
    if wrong.any():
        column = int(np.argmax(wrong.any(axis=0)))
        first = int(np.argmax(wrong[:, column]))
        raise registry.UserError(
            f"{path}: item {column + 2} of {int(wrong[:, column].sum())} trials contradicts the "
            f"data's identities (first: {probes[first]} {candidates[column][first]}), where a "
            "positive of the probe's identity stands before negatives of others: use the lists "
            "made for this data set."
        )
    score = space.cosine(modalities, probe, other)
    hit = score[:, 0] > np.max(score[:, 1:], axis=1)
    code = _codes(identity)
    replicates = bootstrap.mean(hit, code, query.num_bootstrap, query.seed)
    chance = 1 / len(candidates)
    return [
        query.result(
            ACCURACY, code, value=hit.mean(), chance=chance, replicates=replicates, notes=notes
        )
    ]


def verification(query: Query) -> list[results.Result]:
    """Returns the area under the ROC and the equal error rate of same-or-different pairs.

    Raises:
      UserError: malformed list, item not embedded, or pairs of one kind alone.
    """
    score, label, code, notes = verification_pairs(query)
    equal_error_rate, threshold = metrics.equal_error(score, label)
    sampled = score, label, code, query.num_bootstrap, query.seed
    auc = {"value": metrics.roc_auc(score, label), "replicates": bootstrap.roc_auc(*sampled)}
    eer = {
        "value": equal_error_rate,
        "replicates": bootstrap.equal_error_rate(*sampled),
        "threshold": threshold,
    }
    return [
        query.result(metric, code, chance=0.5, notes=notes, **measured)
        for metric, measured in ((AUC, auc), (EER, eer))
    ]


def verification_pairs(
    query: Query,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns score [T] float32, label [T] bool, the probe's identity code [T], and notes.

    Raises:
      UserError: as `verification`.
    """
    path, direction = query.path, query.name.direction
    trials, notes = completeness.trials(path, query.space, direction, lists.read_verification(path))
    modalities, space = lists.MODALITIES[direction], query.space
    rows = [space.rows(path, m, ids) for m, ids in zip(modalities, zip(*trials))]
    identity, other = map(space.codes, modalities, rows)
    label = identity == other
    if label.all() or not label.any():
        raise registry.UserError(
            f"{path}: all {len(label)} pairs are {'right' if label[0] else 'wrong'}, where a "
            "verification list needs right and wrong pairs: use lists made for this data set."
        )
    score = space.cosine(modalities, rows[0], rows[1][:, None])[:, 0]
    return score, label, _codes(identity), notes


def retrieve(query: Query) -> list[results.Result]:
    """Returns mean average precision and recall@k, every probe in its whole gallery.

    A probe without a relevant item counts 0 and is noted.

    Raises:
      UserError: malformed list, item not embedded, or no probe at all has a relevant item.
    """
    return of_galleries(query, lists.read_retrieval(query.path))[0]


def of_galleries(
    query: Query, galleries: Sequence[lists.Gallery]
) -> tuple[list[results.Result], list[lists.Gallery], list[retrieval.Ranking]]:
    """Returns the figures of `retrieve`, the galleries without what is missing, their rankings.

    Args:
      query: its path says where the galleries come from.
      galleries: probes and the items they are looked up in, at least one.

    Raises:
      UserError: as `retrieve`.
    """
    path, space, direction = query.path, query.space, query.name.direction
    rankings, identity = [], []
    galleries, notes = completeness.galleries(path, space, direction, galleries)
    for task in galleries:
        modalities = lists.MODALITIES[direction]
        vectors = [space.vectors(path, modality, ids) for modality, ids in zip(modalities, task)]
        codes = [space.codes(m, space.rows(path, m, ids)) for m, ids in zip(modalities, task)]
        rankings.append(retrieval.rank(*vectors, *codes))
        identity.append(codes[0])
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
        MAP: [(r.average_precision, retrieval.chance_average_precision(r)) for r in rankings],
        **{
            metric: [(r.first_rank <= k, retrieval.chance_recall_at_k(r, k)) for r in rankings]
            for k, metric in RECALL.items()
        },
    }
    found = []
    for metric, parts in of_probe.items():
        value, chance = (np.concatenate(part) for part in zip(*parts))
        replicates = bootstrap.mean(value, code, query.num_bootstrap, query.seed)
        means = {"value": value.mean(), "chance": chance.mean()}
        found.append(query.result(metric, code, **means, replicates=replicates, notes=notes))
    return found, galleries, rankings


def _codes(identity: np.ndarray) -> np.ndarray:
    """Returns [T] int codes 0 .. K-1 of the identities that occur, in their order."""
    return np.unique(identity, return_inverse=True)[1]


TASKS = {
    task.form.protocol: task
    for task in (
        ListTask(lists.FORMS["matching"], (ACCURACY,), matching),
        ListTask(lists.FORMS["verification"], (AUC, EER), verification),
        ListTask(lists.FORMS["retrieval"], (MAP, *RECALL.values()), retrieve),
    )
}
