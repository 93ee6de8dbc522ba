"""Embeddings and ids stay together."""

import numpy as np
import pytest
import tensorflow as tf

from tfav import registry
from tfav.experiment import collect


def batches(*ids):
    return [{"id": np.array(names), "x": np.arange(len(names)) + 0.5} for names in ids]


def twice(batch):
    return np.stack([batch["x"], 2 * batch["x"]], axis=1)


def test_ids_and_rows_come_in_the_order_of_the_batches():
    ids, vectors = collect.collect(batches(["a", "b"], ["c"]), twice)
    assert ids == ["a", "b", "c"]
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, [[0.5, 1], [1.5, 3], [0.5, 1]])


def test_a_tensorflow_data_set_and_tensors_serve_and_bytes_become_text():
    data = tf.data.Dataset.from_tensor_slices({"id": ["ä.wav", "b.wav", "c.wav"], "x": [1.0, 2, 3]})
    embed_fn = lambda batch: tf.cast(batch["x"][:, None], tf.bfloat16)  # noqa: E731
    ids, vectors = collect.collect(data.batch(2), embed_fn, total=3)
    assert ids == ["ä.wav", "b.wav", "c.wav"]
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, [[1], [2], [3]])


def test_nothing_to_embed_is_said():
    with pytest.raises(registry.UserError, match="voices: there is nothing to embed"):
        collect.collect([], twice, description="voices")


def test_a_nan_embedding_is_named_at_once():
    with pytest.raises(registry.UserError, match="embedding of b is NaN"):
        collect.collect(batches(["a", "b"]), lambda batch: [[1.0, 2.0], [np.nan, 1.0]])


def test_a_wrong_number_of_rows_and_a_repeated_id_are_refused():
    with pytest.raises(ValueError, match="2 ids but embeddings of shape"):
        collect.collect(batches(["a", "b"]), lambda batch: np.ones((3, 4)))
    with pytest.raises(ValueError, match="1 ids come twice"):
        collect.collect(batches(["a", "b"], ["a"]), twice)
