import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tests.conformance import replicas
from tfav import registry
from tfav.losses import prototypes


def vectors(seed, rows=8, size=3):
    return np.random.default_rng(seed).normal(size=(rows, size)).astype(np.float32)


def test_two_heaps_are_two_clusters():
    # Rows 0, 2, 3 lie around (1, 0), rows 1 and 4 around (0, 1). The centres begin at the first two
    # rows and end at the directions of the sums, (2.6, 0.6) and (0.1, 1.9).
    x = tf.math.l2_normalize(
        tf.constant([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [0.8, 0.0], [0.1, 0.99]]), axis=1
    )
    centers, member = prototypes.cluster(x, 2)
    assert member.numpy().tolist() == [0, 1, 0, 0, 1]
    np.testing.assert_allclose(tf.norm(centers, axis=1), [1.0, 1.0], rtol=1e-6)
    # 1 + 0.8 + 1 = 2.8 and 0 + 0.6 + 0 = 0.6: 0.6 / 2.8
    assert (centers[0, 1] / centers[0, 0]).numpy() == pytest.approx(0.6 / 2.8)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_clusters_and_contrast_equal_their_twins(count):
    audio, image = vectors(0), vectors(1)
    centers, member = prototypes.cluster(tf.math.l2_normalize(audio, axis=1), count)
    expected, places = reference.clusters(audio, count)
    np.testing.assert_array_equal(member, places)
    np.testing.assert_allclose(centers, expected, atol=1e-5)
    np.testing.assert_allclose(
        prototypes.prototype_contrast(audio, image, count, 0.2),
        reference.prototype_contrast(audio, image, count, 0.2),
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_cluster_without_rows_stays_where_it_is():
    # Both centres begin at (1, 0), of which the first wins all rows and moves to (2, 1).
    x = tf.constant([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    centers, member = prototypes.cluster(x, 2, num_rounds=1)
    np.testing.assert_allclose(centers, [[2 / 5**0.5, 1 / 5**0.5], [1.0, 0.0]], rtol=1e-6)
    assert member.numpy().tolist() == [1, 1, 0]


def test_pseudo_labels_are_the_clusters_of_both_embeddings():
    audio = np.array([[1, 0], [0, 1], [1, 0.1], [0.1, 1]], np.float32)
    image = np.array([[0, 1], [1, 0], [0, 1], [1, 0]], np.float32)
    label = prototypes.pseudo_labels(audio, image, 2)
    assert label.numpy().tolist() == [0, 1, 0, 1]
    assert prototypes.num_present(label, 3).numpy() == 2


def test_two_replicas_find_the_clusters_and_gradients_of_one(mirrored):
    def step(audio, image):
        with tf.GradientTape() as tape:
            tape.watch([audio, image])
            rows = prototypes.prototype_contrast(audio, image, 3)
            loss = tf.reduce_sum(rows) / 8
        label = prototypes.pseudo_labels(audio, image, 3)
        return [rows, label, *tape.gradient(loss, [audio, image])]

    inputs = [vectors(0), vectors(1)]
    one = step(*map(tf.constant, inputs))
    halves = [replicas.halves(mirrored, x) for x in inputs]
    two = tf.function(lambda *batch: mirrored.run(step, args=batch))(*halves)
    for value, expected in zip(two, one):
        np.testing.assert_allclose(replicas.joined(mirrored, value), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("count", [1, 9])
def test_more_clusters_than_rows_or_one_are_refused(count):
    with pytest.raises(registry.UserError, match=f"num_clusters={count} of a batch of 8"):
        prototypes.cluster(tf.constant(vectors(0)), count)
    with pytest.raises(registry.UserError, match="temperature=0"):
        prototypes.prototype_contrast(vectors(0), vectors(1), 2, temperature=0)
