"""What the signatures answer that take embeddings: the score of pairs, the best of candidates."""

import functools
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfav.evaluation import decisions
from tfav.export import signature_specs
from tfav.export.serving import requests
from tfav.ops import similarity


def signatures(
    sizes: Mapping[str, int], decided: decisions.Decisions | None, space: str
) -> dict[str, tuple[Callable[..., dict[str, tf.Tensor]], signature_specs.Specs]]:
    """Returns the function of each signature here, and what it takes.

    Args:
      sizes: the two modalities that share a space to the D that their embeddings have.
      decided: thresholds and calibration of their pairs; None: none.
      space: id of their space.
    """
    (size,) = {*sizes.values()}
    rows = tf.TensorSpec([None, size], tf.float32)
    # As many rows in every input: a server that batches joins the rows of its callers.
    lists = tf.TensorSpec([None, None, size], tf.float32)
    return {
        "score": (score, {f"{m}_embedding": rows for m in sizes}),
        "match": (
            functools.partial(match, decided=decided, space=space),
            {"probe": rows, "candidates": lists},
        ),
    }


def score(**given: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns `score` [B] float32, the cosines of the rows of two inputs [B, D]."""
    one, other = requests.rows("score", requests.embeddings("score", given)).values()
    product = similarity.normalize(one) * similarity.normalize(other)
    return {"score": tf.reduce_sum(product, axis=-1)}


def match(
    probe: tf.Tensor, candidates: tf.Tensor, decided: decisions.Decisions | None, space: str
) -> dict[str, tf.Tensor]:
    """Returns `scores` [B, N] float32 of probes [B, D] and candidates [B, N, D], and `best` [B].

    `embedding_space` [B, 2] int32 is the id of the space, the two halves of its 16 digits, by which
    a client knows whether vectors that it kept can be compared with this model's.
    With a calibration of cosines also `probability` [B, N] float32 that a candidate is of the
    probe's identity, and with a threshold `matched` [B, N] bool, whether its score reaches that:
    both of a probe and candidates of two modalities, which is what they were measured on.
    """
    given = requests.rows("match", requests.candidates("match", probe, candidates))
    probe, candidates = requests.embeddings("match", given).values()
    scores = tf.linalg.matvec(similarity.normalize(candidates), similarity.normalize(probe))
    halves = np.array([int(space[:8], 16), int(space[8:], 16)], np.uint32).view(np.int32)
    found = {
        "scores": scores,
        "best": tf.argmax(scores, axis=1, output_type=tf.int32),
        "embedding_space": tf.tile(halves[np.newaxis], [tf.shape(scores)[0], 1]),
    }
    if decided is None or decided.score != decisions.COSINE:
        return found
    if decided.slope is not None:
        found["probability"] = tf.sigmoid(decided.slope * scores + decided.intercept)
    if decided.threshold is not None:
        found["matched"] = scores >= decided.threshold
    return found
