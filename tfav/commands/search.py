"""Searches a gallery: which faces fit this voice, or any modality for any that shares its space."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfav import registry
from tfav.commands import load
from tfav.evaluation import neighbours
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


class Answers(NamedTuple):
    """What is nearest to all queries.

    Attributes:
      answers: one per query.
      embedding_space: id of the space of all vectors.
      gallery_size: modality to its rows in the gallery.
      method: `exact` or `faiss`.
      recall: share of the exact nearest that were found, measured; 1.0 of an exact search.
    """

    answers: list[Answer]
    embedding_space: str
    gallery_size: dict[str, int]
    method: str
    recall: float


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
      UserError: vectors of two spaces, no model for files, a modality that is not there, a file
        that cannot be embedded, or no FAISS where `method` asks for it.
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
            f"{names[0]} holds {_listed(gallery)} and no {target}: name one of those with --target."
        )
    answers: list[Answer] = []
    used, recall = method, 1.0
    searched: dict[str, int] = {}
    for modality, vectors in queries.vectors.items():
        others = [m for m in gallery.vectors if m != modality]
        modalities = [target] if target else others or list(gallery.vectors)
        labels = [(name, m) for m in modalities for name in gallery.ids[m]]
        rows = _joined(names, modality, vectors, gallery, modalities)
        searched |= {m: len(gallery.ids[m]) for m in modalities}
        used, found = _nearest(vectors, rows, top, method)
        recall = min(recall, found.recall)
        for name, places, scores in zip(queries.ids[modality], found.place, found.score):
            near = [(*labels[place], float(score)) for place, score in zip(places, scores)]
            answers.append(Answer(name, modality, near))
    return Answers(answers, gallery.embedding_space, searched, used, recall)


def _side(
    flag: str, paths: Sequence[str], model: Model | None, name: str, max_bad_fraction: float
) -> Embeddings:
    """Returns the embeddings of a gallery or of queries."""
    stored = [path for path in paths if path.endswith(".npz") and not os.path.isdir(path)]
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


def _listed(gallery: Embeddings) -> str:
    return " and ".join(gallery.vectors)


def table(found: Answers) -> str:
    """Returns answers as text: a line per neighbour with query, rank, cosine, modality and id."""
    rows = [("query", "rank", "cosine", "modality", "found")]
    for answer in found.answers:
        for rank, (name, modality, cosine) in enumerate(answer.found, 1):
            rows.append((answer.query, str(rank), f"{cosine:.4f}", modality, name))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2])]
        lines.append("  ".join([*cells, row[3].ljust(widths[3]), row[4]]))
    return "\n".join(lines)


def about(found: Answers) -> str:
    """Returns one line on what was searched and how."""
    sizes = ", ".join(f"{count} {modality}" for modality, count in found.gallery_size.items())
    how = (
        "exactly"
        if found.method == "exact"
        else f"by FAISS, which found {100 * found.recall:.1f} % of the exact nearest"
    )
    return f"searched {sizes} of the embedding space {found.embedding_space} {how}"


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
                    {"id": name, "modality": modality, "cosine": cosine}
                    for name, modality, cosine in answer.found
                ],
            }
            for answer in found.answers
        ],
    }
