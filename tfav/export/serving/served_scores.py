"""What the signatures answer that take embeddings: the score of pairs, the best of candidates."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfav.evaluation import decisions
from tfav.export import signature_specs
from tfav.export.serving import requests
from tfav.ops import similarity


def signatures(
    modalities: Sequence[str], size: int, decided: decisions.Decisions | None
) -> dict[str, tuple[Callable[..., dict[str, tf.Tensor]], signature_specs.Specs]]:
    """Returns the function of each signature here, and what it takes.

    Args:
      modalities: the two that share a space.
      size: D of their embeddings.
      decided: thresholds and calibration of their pairs; None: none.
    """
    rows = tf.TensorSpec([None, size], tf.float32)
    # As many rows in every input: a server that batches joins the rows of its callers.
    lists = tf.TensorSpec([None, None, size], tf.float32)
    return {
        "score": (score, {f"{m}_embedding": rows for m in modalities}),
        "match": (
            functools.partial(match, decided=decided),
            {"probe": rows, "candidates": lists},
        ),
    }


def score(**given: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns `score` [B] float32, the cosines of the rows of two inputs [B, D]."""
    one, other = requests.rows("score", requests.embeddings("score", given)).values()
    product = similarity.normalize(one) * similarity.normalize(other)
    return {"score": tf.reduce_sum(product, axis=-1)}


def match(
    probe: tf.Tensor, candidates: tf.Tensor, decided: decisions.Decisions | None = None
) -> dict[str, tf.Tensor]:
    """Returns `scores` [B, N] float32 of probes [B, D] and candidates [B, N, D], and `best` [B].

    With a calibration of cosines also `probability` [B, N] float32 that a candidate is of the
    probe's identity, and with a threshold `matched` [B, N] bool, whether its score reaches that:
    both of a probe and candidates of two modalities, which is what they were measured on.
    """
    given = requests.rows("match", requests.candidates("match", probe, candidates))
    probe, candidates = requests.embeddings("match", given).values()
    scores = tf.linalg.matvec(similarity.normalize(candidates), similarity.normalize(probe))
    found = {"scores": scores, "best": tf.argmax(scores, axis=1, output_type=tf.int32)}
    if decided is None or decided.score != decisions.COSINE:
        return found
    if decided.slope is not None:
        found["probability"] = tf.sigmoid(decided.slope * scores + decided.intercept)
    if decided.threshold is not None:
        found["matched"] = scores >= decided.threshold
    return found
