"""How far an artefact is from the checkpoint in what it answers to rows: maps, scores of pairs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfav.export.parity import agreement
from tfav.export.parity import reference as reference_lib
from tfav.export.serving import served_pairs
from tfav.inference import embedders, saved_model_embedder


def _maps(
    name: str,
    reference: reference_lib.Reference,
    embedder: embedders.Embedder,
    batches: Sequence[Mapping[str, np.ndarray]],
    precision: str,
    max_steps: int | None,
) -> dict[str, Any]:
    expected = reference.answered(name, max_steps)["map"]
    found = np.concatenate([embedder.localize(batch) for batch in batches])
    return agreement.compare_maps(reference.names, expected, found, precision)


def _scores(
    name: str,
    reference: reference_lib.Reference,
    embedder: embedders.Embedder,
    batches: Sequence[Mapping[str, np.ndarray]],
    precision: str,
    max_steps: int | None,
) -> dict[str, Any]:
    expected = reference.answered(name, max_steps)["score"]
    found = np.concatenate([embedder.score_pairs(batch)["score"] for batch in batches])
    return agreement.compare_scores(reference.names, expected, found, embedder.threshold, precision)


# Signature to what compares its answers.
COMPARED: dict[str, Callable[..., dict[str, Any]]] = {
    "localize": _maps,
    served_pairs.PAIRS: _scores,
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
    return COMPARED[name](name, reference, embedder, batches, precision, max_steps)


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
        found.append(embedder.run(served_pairs.PAIR_FILES, **inputs)["score"])
    scores = np.concatenate(expected), np.concatenate(found)
    agreed = agreement.compare_scores(reference.names, *scores, embedder.threshold, precision)
    return {served_pairs.PAIR_FILES: agreed}
