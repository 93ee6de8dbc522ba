"""What a page or a film shows of a retrieval: chosen probes with the top of their ranking.

The best and the worst probes by average precision say what the model can do and where it fails;
those drawn at random, what to expect.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfav.annotations import lists
from tfav.evaluation import list_tasks, retrieval
from tfav.evaluation import space as spaces
from tfav.evaluation.result import Result

GROUPS = ("best", "worst", "random")  # or "all", alone, when every probe is shown


class Hit(NamedTuple):
    """One item of a ranking: its id, its cosine with the probe, and whether it is relevant."""

    id: str
    score: float
    match: bool


class Probe(NamedTuple):
    """One query with the top of its ranking.

    Attributes:
      id: Id of the probe.
      groups: why it is shown, of `GROUPS`; `("all",)` when every probe is.
      average_precision: without cut-off; 0 without a relevant item.
      first_rank: Rank of the best relevant item, from 1; None without one.
      num_relevant: items of its identity in the gallery.
      gallery_size: items it was looked up in.
      hits: the closest, closest first. A tie counts against the relevant item, as in `retrieval`.
    """

    id: str
    groups: tuple[str, ...]
    average_precision: float
    first_rank: int | None
    num_relevant: int
    gallery_size: int
    hits: list[Hit]


class Task(NamedTuple):
    """One retrieval: every probe looked up in its gallery.

    Attributes:
      tag: `test`, `seen`, ...
      stratum: One of `lists.STRATA`.
      direction: One of `lists.DIRECTIONS`.
      probes: Probes that are shown.
      num_probes: all there are.
      num_unanswerable: how many of them have no relevant item in their gallery; they count 0.
      result: mean average precision over all probes, with its interval and chance level.
      recall: [K] float64, share of probes with a relevant item among the k closest, k = 1 .. K.
      chance_recall: [K] float64.
    """

    tag: str
    stratum: str
    direction: str
    probes: list[Probe]
    num_probes: int
    num_unanswerable: int
    result: Result
    recall: np.ndarray
    chance_recall: np.ndarray

    def in_groups(self) -> list[Probe]:
        """Returns the probes shown, each once: the best, the worst from the worst on, the rest."""
        worst = [probe for probe in self.probes if "worst" in probe.groups]
        others = [probe for probe in self.probes if "worst" not in probe.groups]
        best = [probe for probe in others if "best" in probe.groups]
        return [*best, *worst[::-1], *(probe for probe in others if "best" not in probe.groups)]


def task(
    name: lists.ListName,
    galleries: Sequence[lists.Gallery],
    space: spaces.Space,
    *,
    origin: str | os.PathLike,
    num_probes: int,
    num_bootstrap: int = 0,
    seed: int = 0,
    top: int = 10,
    curve: int = 50,
) -> Task:
    """Ranks every probe and keeps what is worth showing.

    Args:
      name: Name of the retrieval list, or what it would be.
      galleries: probes and the items they are looked up in, at least one.
      space: the embeddings.
      origin: the list's file, for messages.
      num_probes: how many to show, at least 1: a third the best, a third the worst, the rest drawn
        at random among all.
      num_bootstrap: resamples of the probes' identities behind the interval; 0 gives none.
      seed: Random seed of the probes drawn, of the order among equals and of the resamples.
      top: items of a ranking to show.
      curve: last k of the recall curve; less where the largest gallery is smaller.

    Raises:
      UserError: too many items are not embedded (a few are left out), one has no identity, or no
        probe has an item of its identity in the gallery.
    """
    query = list_tasks.Query(name, origin, space, num_bootstrap, seed)
    (result, *_), galleries, rankings = list_tasks.of_galleries(query, galleries)
    sides = [_sides(gallery, space, name.direction, origin) for gallery in galleries]
    where = [(number, row) for number, g in enumerate(galleries) for row in range(len(g.probes))]
    precision = np.concatenate([r.average_precision for r in rankings])
    relevant = np.concatenate([r.num_relevant for r in rankings])
    first = np.concatenate([r.first_rank for r in rankings])
    ranks = range(1, 1 + min(curve, max(r.gallery_size for r in rankings)))
    recall = [float((first <= k).mean()) for k in ranks]
    luck = [np.concatenate([retrieval.chance_recall_at_k(r, k) for r in rankings]) for k in ranks]
    shown = []
    for row, groups in choose(precision, relevant > 0, num_probes, seed).items():
        number, local = where[row]
        probes, gallery = galleries[number]
        probe_vectors, items, probe_label, item_label = sides[number]
        score = retrieval.rounded(items @ probe_vectors[local])
        match = item_label == probe_label[local]
        order = np.lexsort((match, -score))[:top]  # among equals, what does not match comes first
        shown.append(
            Probe(
                probes[local],
                groups,
                float(precision[row]),
                int(first[row]) if np.isfinite(first[row]) else None,
                int(relevant[row]),
                len(gallery),
                [Hit(gallery[i], float(score[i]), bool(match[i])) for i in order],
            )
        )
    return Task(
        tag=name.tag,
        stratum=name.stratum,
        direction=name.direction,
        probes=shown,
        num_probes=len(precision),
        num_unanswerable=int((relevant == 0).sum()),
        result=result,
        recall=np.array(recall),
        chance_recall=np.array([float(value.mean()) for value in luck]),
    )


def choose(
    average_precision: np.ndarray, answerable: np.ndarray, num_probes: int, seed: int
) -> dict[int, tuple[str, ...]]:
    """Returns {row: groups} of the probes to show, best first.

    A row may be both among the best and drawn at random, so that what is drawn stays a fair sample.

    Args:
      average_precision: [Q].
      answerable: [Q] bool; the others are neither best nor worst, but may be drawn.
      num_probes: about how many to show.
      seed: Random seed of those drawn, and of the order among equals.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(average_precision))
    order = shuffled[np.argsort(-average_precision[shuffled], kind="stable")]
    if len(order) <= num_probes:
        return {int(row): ("all",) for row in order}
    ranked = order[answerable[order]]
    ends = min(num_probes // 3, len(ranked) // 2)
    members = {
        "best": ranked[:ends],
        "worst": ranked[len(ranked) - ends :],
        "random": rng.choice(len(order), num_probes - 2 * ends, replace=False),
    }
    groups = {int(row): tuple(g for g in GROUPS if row in members[g]) for row in order}
    return {row: names for row, names in groups.items() if names}


def _sides(
    gallery: lists.Gallery, space: spaces.Space, direction: str, origin: str | os.PathLike
) -> tuple[np.ndarray, ...]:
    """Returns unit probes [Q, D], unit items [G, D], identities of the probes and of the items."""
    modalities = lists.MODALITIES[direction]
    vectors = [space.vectors(origin, m, ids) for m, ids in zip(modalities, gallery)]
    return *vectors, *(space.identities(ids) for ids in gallery)
