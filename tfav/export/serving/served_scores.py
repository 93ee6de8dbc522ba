"""What the signatures answer that take embeddings: the score of pairs, the best of candidates."""

import tensorflow as tf

from tfav.export.serving import requests
from tfav.ops import similarity


def score(**given: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns `score` [B] float32, the cosines of the rows of two inputs [B, D]."""
    one, other = requests.rows("score", requests.embeddings("score", given)).values()
    product = similarity.normalize(one) * similarity.normalize(other)
    return {"score": tf.reduce_sum(product, axis=-1)}


def match(probe: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns `scores` [B, N] float32 of probes [B, D] and candidates [B, N, D], and `best` [B]."""
    given = requests.rows("match", requests.candidates("match", probe, candidates))
    probe, candidates = requests.embeddings("match", given).values()
    scores = tf.linalg.matvec(similarity.normalize(candidates), similarity.normalize(probe))
    return {"scores": scores, "best": tf.argmax(scores, axis=1, output_type=tf.int32)}
