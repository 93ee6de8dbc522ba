"""Searches a gallery: which faces fit this voice, or any modality for any that shares its space."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfav import registry
from tfav.commands import load
from tfav.evaluation import decisions, neighbours
from tfav.inference import embeddings_file, spaces
from tfav.inference.model import Embeddings, Model


class Answer(NamedTuple):
    """What is nearest to one query.

    Attributes:
      query: its id.
      modality: of the query.
      found: (id, modality, cosine) of the nearest, nearest first.
    """

    query: str
    modality: str
    found: list[tuple[str, str, float]]


# Probability, whether the threshold is reached, and why there is no probability.
Told = tuple[float | None, bool | None, str]


class Answers(NamedTuple):
    """What is nearest to all queries.

    Attributes:
      answers: one per query.
      embedding_space: id of the space of all vectors.
      gallery_size: modality to its rows in the gallery.
      method: `exact` or `faiss`.
      recall: share of the exact nearest that were found, measured; 1.0 of an exact search.
      decided: thresholds and calibration of the model; None: none.
      undecided: a clause, why there are none.
    """

    answers: list[Answer]
    embedding_space: str
    gallery_size: dict[str, int]
    method: str
    recall: float
    decided: decisions.Decisions | None = None
    undecided: str = "name the model by --model, which may hold a calibration"

    def told(self, modality: str, near: tuple[str, str, float]) -> Told:
        """Returns what is known of a neighbour of a query of a modality, beside its cosine."""
        _, other, cosine = near
        its, why = decisions.of_cosines(self.decided, (modality, other))
        if its is None:
            return None, None, why if self.decided else self.undecided
        probability, matched = its.probability(cosine), its.matched(cosine)
        likely = None if probability is None else float(probability)
        return likely, None if matched is None else bool(matched), why


def search(
    index: Sequence[str],
    query: Sequence[str],
    model: str = "",
    *,
    target: str = "",
    top: int = 10,
    method: str = "auto",
    max_bad_fraction: float = 0.0,
) -> Answers:
    """Returns the nearest items of a gallery for every query.

    Args:
      index: the gallery: one `.npz` of tfav-embed, or files and folders, which are embedded.
      query: likewise.
      model: a workdir, a SavedModel folder or a `.tflite`; empty where both are `.npz`.
      target: modality of the gallery to search; empty: of each query all others that the gallery
        has, or its own where it has no other.
      top: Number of nearest items per query.
      method: `exact`, `faiss`, or `auto`: FAISS for a gallery of more than `neighbours.MANY` rows
        where it is installed.
      max_bad_fraction: share of files that cannot be embedded that may be left out.

    Raises:
      UserError: vectors of two spaces, two modalities that share none, no model for files, a
        modality that is not there, a file that cannot be embedded, or no FAISS where it is asked.
    """
    opened = load.load(model) if model else None
    sides = [
        _side(flag, paths, opened, model, max_bad_fraction)
        for flag, paths in (("index", index), ("query", query))
    ]
    gallery, queries = sides
    names = [",".join(paths) for paths in (index, query)]
    spaces.require_same(names[0], gallery.embedding_space, names[1], queries.embedding_space)
    if target and target not in gallery.vectors:
        raise registry.UserError(
            f"{names[0]} holds {' and '.join(gallery.vectors)} and no {target}: name one of those "
            "with --target."
        )
    shares = all(one.shares_space for one in (gallery, queries, opened) if one)
    answers: list[Answer] = []
    used, recall = method, 1.0
    searched: dict[str, int] = {}
    for modality, vectors in queries.vectors.items():
        others = [m for m in gallery.vectors if m != modality]
        modalities = [target] if target else others or list(gallery.vectors)
        fix = f"search {modality} files among others with --target={modality}"
        spaces.require_shared(shares, modality, modalities, fix)
        labels = [(name, m) for m in modalities for name in gallery.ids[m]]
        rows = _joined(names, modality, vectors, gallery, modalities)
        searched |= {m: len(gallery.ids[m]) for m in modalities}
        used, found = _nearest(vectors, rows, top, method)
        recall = min(recall, found.recall)
        for name, places, scores in zip(queries.ids[modality], found.place, found.score):
            near = [(*labels[place], float(score)) for place, score in zip(places, scores)]
            answers.append(Answer(name, modality, near))
    every = Answers(answers, gallery.embedding_space, searched, used, recall)
    if opened is None:
        return every
    _, why = decisions.of_cosines(None, (), opened.shares_space)
    return every._replace(decided=opened.decisions, undecided=why)


def _side(
    flag: str, paths: Sequence[str], model: Model | None, name: str, max_bad_fraction: float
) -> Embeddings:
    """Returns the embeddings of a gallery or of queries."""
    stored = [path for path in paths if embeddings_file.is_one(path)]
    if stored and len(paths) > 1:
        raise registry.UserError(
            f"--{flag}={','.join(paths)}: name one .npz alone, or files and folders without one."
        )
    if stored:
        space = model.embedding_space if model else ""
        return embeddings_file.read(stored[0], space, f"--model={name}")
    if model is None:
        raise registry.UserError(
            f"--{flag}={','.join(paths)} is to be embedded and --model is missing: give "
            "--model=RUN, an export or a .tflite, or a .npz that tfav-embed wrote."
        )
    return model.embed(list(paths), max_bad_fraction=max_bad_fraction)


def _joined(
    names: Sequence[str],
    modality: str,
    vectors: np.ndarray,
    gallery: Embeddings,
    modalities: Sequence[str],
) -> np.ndarray:
    """Returns the rows of all modalities to search, [G, D]."""
    for other in modalities:
        size = gallery.vectors[other].shape[1]
        if size != vectors.shape[1]:
            raise registry.UserError(
                f"the {other} vectors of {names[0]} have {size} values and the {modality} vectors "
                f"of {names[1]} {vectors.shape[1]}: they share no space, search another modality "
                "with --target."
            )
    if len(modalities) == 1:
        return gallery.vectors[modalities[0]]
    return np.concatenate([gallery.vectors[m] for m in modalities])


def _nearest(
    query: np.ndarray, gallery: np.ndarray, top: int, method: str
) -> tuple[str, neighbours.Nearest]:
    """Returns how was searched, and what was found."""
    if method == "auto":
        many = len(gallery) > neighbours.MANY
        method = "faiss" if many and neighbours.has_faiss() else "exact"
    find = neighbours.by_faiss if method == "faiss" else neighbours.exact
    return method, find(query, gallery, top)


def table(found: Answers) -> str:
    """Returns answers as text: a line per neighbour with query, rank, cosine, modality and id.

    Where a neighbour has a probability, that and the decision stand behind the cosine.
    """
    rows = [("query", "rank", "cosine", "modality", "found")]
    further = [("probability", "decision")]
    for answer in found.answers:
        for rank, near in enumerate(answer.found, 1):
            name, modality, cosine = near
            rows.append((answer.query, str(rank), f"{cosine:.4f}", modality, name))
            further.append(cells(found.told(answer.modality, near)))
    shown = any(any(two) for two in further[1:])
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    wide = [max(len(two[column]) for two in further) for column in range(2)]
    lines = []
    for row, two in zip(rows, further):
        line = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2])]
        line += [two[0].rjust(wide[0]), two[1].ljust(wide[1])] if shown else []
        lines.append("  ".join([*line, row[3].ljust(widths[3]), row[4]]))
    return "\n".join(lines)


def cells(told: Told) -> tuple[str, str]:
    """Returns probability and decision as they are printed; empty where they are not known."""
    probability, matched, _ = told
    words = {True: decisions.MATCH, False: decisions.NOT_SURE, None: ""}
    return "" if probability is None else f"{probability:.3f}", words[matched]


def about(found: Answers) -> str:
    """Returns a line on what was searched and how, and one where there is no probability."""
    sizes = ", ".join(f"{count} {modality}" for modality, count in found.gallery_size.items())
    how = (
        "exactly"
        if found.method == "exact"
        else f"by FAISS, which found {100 * found.recall:.1f} % of the exact nearest"
    )
    text = f"searched {sizes} of the embedding space {found.embedding_space} {how}"
    why = dict.fromkeys(found.told(a.modality, near)[2] for a in found.answers for near in a.found)
    said = [clause for clause in why if clause]
    return "\n".join([text, *(f"no probability: {clause}" for clause in said)])


def record(found: Answers) -> dict:
    """Returns answers as what `--json` prints."""
    return {
        "embedding_space": found.embedding_space,
        "method": found.method,
        "recall": found.recall,
        "gallery_size": found.gallery_size,
        "queries": [
            {
                "query": answer.query,
                "modality": answer.modality,
                "found": [
                    {"id": near[0], "modality": near[1], "cosine": near[2]}
                    | _known(found.told(answer.modality, near))
                    for near in answer.found
                ],
            }
            for answer in found.answers
        ],
    }


def _known(told: Told) -> dict:
    known = {"probability": told[0], "matched": told[1]}
    return {name: value for name, value in known.items() if value is not None}
