"""How far an artefact is from the checkpoint in what it answers to rows: maps, scores of pairs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfav.export.lite import console
from tfav.export.parity import agreement
from tfav.export.parity import reference as reference_lib
from tfav.export.serving import served_pairs
from tfav.inference import embedders, saved_model_embedder


class _Answer(NamedTuple):
    """How the answers of one signature are asked for and compared.

    Attributes:
      key: its name among the reference's answers.
      ask: what an artefact answers to a batch.
      agree: the agreement, of the rows' names, what is expected, what is found, the artefact, and
        its precision.
    """

    key: str
    ask: Callable[[embedders.Embedder, Mapping[str, np.ndarray]], np.ndarray]
    agree: Callable[..., dict[str, Any]]


def _agree_in_maps(
    names: Sequence[str],
    expected: np.ndarray,
    found: np.ndarray,
    embedder: embedders.Embedder,
    precision: str,
) -> dict[str, Any]:
    del embedder
    return agreement.compare_maps(names, expected, found, precision)


def _agree_in_scores(
    names: Sequence[str],
    expected: np.ndarray,
    found: np.ndarray,
    embedder: embedders.Embedder,
    precision: str,
) -> dict[str, Any]:
    return agreement.compare_scores(names, expected, found, embedder.threshold, precision)


# Signature to how its answers are compared.
COMPARED: dict[str, _Answer] = {
    "localize": _Answer("map", lambda its, batch: its.localize(batch), _agree_in_maps),
    served_pairs.PAIRS: _Answer(
        "score", lambda its, batch: its.score_pairs(batch)["score"], _agree_in_scores
    ),
}


def compared(
    name: str,
    reference: reference_lib.Reference,
    embedder: embedders.Embedder,
    batches: Sequence[Mapping[str, np.ndarray]],
    precision: str,
    max_steps: int | None = None,
) -> dict[str, Any]:
    """Returns the agreement of an artefact's answers to rows.

    Args:
      name: one of `COMPARED`.
      reference: the checkpoint's own answers.
      embedder: the artefact.
      batches: the rows of the reference, in order.
      precision: Precision of the artefact.
      max_steps: how much of a clip the artefact takes; None: all.
    """
    answer = COMPARED[name]
    expected = reference.answered(name, max_steps)[answer.key]
    found = np.concatenate([answer.ask(embedder, batch) for batch in batches])
    return answer.agree(reference.names, expected, found, embedder, precision)


def files(
    reference: reference_lib.Reference,
    embedder: saved_model_embedder.SavedModelEmbedder,
    codecs: Mapping[str, Any],
    precision: str,
) -> dict[str, Any]:
    """Returns the agreement of scores of pairs that are sent as whole files.

    Args:
      reference: the checkpoint's own answers; here those to what the files hold once they are read.
      embedder: the artefact.
      codecs: name of a file to its `encode` and `decode`.
      precision: Precision of the artefact.

    Returns:
      The signature to its agreement; nothing where it has none.
    """
    specs = embedder.items
    if not served_pairs.files(specs):
        return {}
    expected, found = [], []
    for row in reference.joint():
        sent = {spec.file: codecs[spec.file].encode(row[m]) for m, spec in specs.items()}
        read = {m: codecs[spec.file].decode(sent[spec.file]).numpy() for m, spec in specs.items()}
        expected.append(reference.answer(served_pairs.PAIRS, [read])["score"])
        inputs = {name: content[tf.newaxis] for name, content in sent.items()}
        with console.quiet():  # libjpeg tells of images that end grey, though nothing is wrong
            found.append(embedder.run(served_pairs.PAIR_FILES, **inputs)["score"])
    scores = np.concatenate(expected), np.concatenate(found)
    agreed = agreement.compare_scores(reference.names, *scores, embedder.threshold, precision)
    return {served_pairs.PAIR_FILES: agreed}
