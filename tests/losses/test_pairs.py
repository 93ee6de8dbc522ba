"""Losses of matched and mismatched pairs, over the global batch and without labels."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import reference, reference_clustering
from tests.conformance import replicas
from tfav import registry
from tfav.losses import pairs

SEED = (3, 1)


def _centers(rows=4, clusters=3, size=2, seed=0):
    audio, image = np.random.default_rng(seed).normal(size=(2, rows, clusters, size))
    return audio.astype(np.float32), image.astype(np.float32)


def _others(rows, negatives):
    if negatives == "all":
        return [[j for j in range(rows) if j != i] for i in range(rows)]
    return pairs.derangement(rows, tf.constant(SEED, tf.int64)).numpy()[:, None]


def _loss(name, audio, image, negatives):
    margin = {"max_margin": 3.0, "cluster_contrastive": 5.0}[name]
    loss = getattr(pairs, name)
    return loss(audio, image, margin, negatives, tf.constant(SEED, tf.int64))


def _twin(name, audio, image, negatives):
    margin = {"max_margin": 3.0, "cluster_contrastive": 5.0}[name]
    return getattr(reference_clustering, name)(audio, image, margin, _others(len(image), negatives))


losses = pytest.mark.parametrize("name", ["max_margin", "cluster_contrastive"])
both = pytest.mark.parametrize("negatives", pairs.NEGATIVES)


def test_the_similarity_is_the_sum_of_the_cosines_of_clusters_alike():
    # cos((3, 4), (1, 0)) = 0.6 and cos((0, 2), (0, -1)) = -1; a zero centre adds nothing.
    audio = np.array([[[3.0, 4.0], [0.0, 2.0]]])
    image = np.array([[[1.0, 0.0], [0.0, -1.0]], [[1.0, 0.0], [0.0, 0.0]]])
    np.testing.assert_allclose(pairs.pair_similarity(audio, image), [[-0.4, 0.6]], atol=1e-6)
    np.testing.assert_allclose(pairs.cluster_similarity(audio, image[:1]), [[0.6, -1.0]], atol=1e-6)


def test_similarities_and_distances_of_all_pairs_equal_the_naive_loop():
    (audio, _), (_, image) = _centers(3), _centers(5, seed=1)
    np.testing.assert_allclose(
        pairs.pair_similarity(audio, image),
        reference_clustering.pair_similarity(audio, image),
        atol=1e-5,
    )
    audio = audio[:, :2]  # one sound fewer than there are things to see
    np.testing.assert_allclose(
        pairs.pair_distance(audio, image),
        reference_clustering.pair_distance(audio, image),
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_distance_takes_the_nearest_visual_cluster_of_each_sound():
    # Sounds at 0 and 5, things at 1 and 9: 1 + 16 = 17. Things are 1 and 16 from their nearest.
    audio, image = np.array([[[0.0], [5.0]]]), np.array([[[1.0], [9.0]]])
    np.testing.assert_allclose(pairs.pair_distance(audio, image), [[17.0]])
    np.testing.assert_allclose(pairs.cluster_distance(audio, image), [[1.0, 16.0]])


@pytest.mark.parametrize("rows", [2, 3, 8])
def test_a_derangement_moves_every_row_and_repeats_none(rows):
    seen = set()
    for step in range(60):
        other = pairs.derangement(rows, tf.constant([7, step], tf.int64)).numpy()
        assert sorted(other) == list(range(rows)) and (other != np.arange(rows)).all()
        seen.add(tuple(other))
    assert len(seen) == 1 if rows == 2 else len(seen) > 1
    if rows == 8:  # 7! = 5040 cycles: sixty draws are nearly all different
        assert len(seen) > 50
        # Each other row is equally likely for row 0: of 420 draws 60 each.
        first = [
            int(pairs.derangement(8, tf.constant([1, step], tf.int64))[0]) for step in range(420)
        ]
        assert np.bincount(first, minlength=8)[1:].min() > 30


def test_a_seed_gives_the_same_derangement_again():
    draw = tf.function(lambda n, seed: pairs.derangement(n, seed))
    for n in (5, 9):
        eager = pairs.derangement(n, tf.constant(SEED, tf.int64))
        again = draw(tf.constant(n), tf.constant(SEED, tf.int64))
        np.testing.assert_array_equal(again, eager)


def test_all_mismatches_are_all_other_rows():
    other = pairs.mismatches(4, "all").numpy()
    assert [sorted(row) for row in other] == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_the_margin_by_hand():
    # One cluster: sounds at 0 and 90 degrees, pictures at 0 and 45. S = 1 and cos 45 = 0.7071 own,
    # S(a_2, v_1) = 0, S(a_1, v_2) = 0.7071. Margin 1: [1 + 0 - 1]+ = 0, [1 + .7071 - .7071]+ = 1.
    audio = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    image = np.array([[[1.0, 0.0]], [[1.0, 1.0]]])
    for negatives in pairs.NEGATIVES:
        rows = pairs.max_margin(audio, image, 1.0, negatives)
        np.testing.assert_allclose(rows, [0.0, 1.0], atol=1e-6)


def test_the_contrastive_loss_by_hand():
    # Sounds at 0 and 3, pictures at 1 and 3. Own: D^2 = 1, 0. Mismatched (a_2, v_1) = 2 apart,
    # (a_1, v_2) = 3. Margin 5: (1 + 9) / 2 and (0 + 4) / 2.
    audio, image = np.array([[[0.0]], [[3.0]]]), np.array([[[1.0]], [[3.0]]])
    np.testing.assert_allclose(pairs.cluster_contrastive(audio, image), [5.0, 2.0], rtol=1e-4)


def test_the_cross_entropy_of_correspondence_by_hand():
    # Knowing nothing: ln 2. Logits ln 3 and -ln 3, 0: (ln 4/3 + (ln 4/3 + ln 2) / 2) / 2.
    zero = pairs.correspondence(tf.zeros([2]), tf.zeros([2, 3]))
    np.testing.assert_allclose(zero, [math.log(2)] * 2, rtol=1e-6)
    rows = pairs.correspondence(tf.constant([math.log(3)]), tf.constant([[-math.log(3), 0.0]]))
    expected = (1.5 * math.log(4 / 3) + 0.5 * math.log(2)) / 2
    np.testing.assert_allclose(rows, [expected], rtol=1e-6)
    matched, mismatched = np.random.default_rng(0).normal(size=3), np.full([3, 2], 0.7)
    np.testing.assert_allclose(
        pairs.correspondence(tf.constant(matched), tf.constant(mismatched)),
        reference_clustering.correspondence(matched, mismatched),
    )


@losses
@both
def test_the_loss_equals_its_twin_in_value_and_gradient(name, negatives):
    audio, image = _centers()
    variables = [tf.constant(audio), tf.constant(image)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        rows = _loss(name, *variables, negatives)
        total = tf.reduce_mean(rows)
    assert rows.shape == [4] and rows.dtype == tf.float32
    np.testing.assert_allclose(rows, _twin(name, audio, image, negatives), rtol=1e-4, atol=1e-5)
    by_audio, by_image = tape.gradient(total, variables)
    expected = reference.numeric_gradient(
        lambda x: np.mean(_twin(name, x, image, negatives)), audio
    )
    np.testing.assert_allclose(by_audio, expected, rtol=1e-3, atol=1e-4)
    expected = reference.numeric_gradient(
        lambda x: np.mean(_twin(name, audio, x, negatives)), image
    )
    np.testing.assert_allclose(by_image, expected, rtol=1e-3, atol=1e-4)


@losses
@both
def test_two_replicas_equal_one_in_value_and_gradient(name, negatives, mirrored):
    audio, image = _centers(6)

    def value(audio, image):
        with tf.GradientTape() as tape:
            tape.watch([audio, image])
            rows = _loss(name, audio, image, negatives)
            total = tf.reduce_sum(rows) / 6
        return [rows, *tape.gradient(total, [audio, image])]

    expected = value(tf.constant(audio), tf.constant(image))
    halves = [replicas.halves(mirrored, x) for x in (audio, image)]
    found = tf.function(lambda *x: mirrored.run(value, args=x))(*halves)
    for one, two in zip(expected, found):
        np.testing.assert_allclose(replicas.joined(mirrored, two), one, rtol=1e-5, atol=1e-6)


@losses
@both
def test_a_graph_of_unknown_batch_size_equals_eager(name, negatives):
    audio, image = _centers()
    specs = [tf.TensorSpec([None, 3, 2])] * 2
    graph = tf.function(lambda a, v: _loss(name, a, v, negatives), input_signature=specs)
    np.testing.assert_allclose(graph(audio, image), _loss(name, audio, image, negatives), rtol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="one pair has no mismatch"):
        graph(audio[:1], image[:1])


@losses
@both
def test_a_batch_of_one_has_no_mismatch(name, negatives):
    audio, image = _centers(1)
    with pytest.raises(registry.UserError, match="one pair has no mismatch: give --config.train"):
        _loss(name, audio, image, negatives)


@losses
@both
def test_value_and_gradient_are_finite_where_nothing_is_to_be_told_apart(name, negatives):
    same = np.ones([4, 3, 2], np.float32)  # a silent batch: every sound is the same
    zero = np.zeros([4, 3, 2], np.float32)
    _, image = _centers()
    for audio in (same, zero, 1e6 * same, 1e-20 * same):
        variables = [tf.constant(audio), tf.constant(image)]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            rows = _loss(name, *variables, negatives)
        for x in (rows, *tape.gradient(rows, variables)):
            assert np.isfinite(x).all()
        if name == "max_margin":  # S(matched) = S(mismatched): the loss is the margin
            np.testing.assert_allclose(rows, [3.0] * 4, atol=1e-5)


def test_an_unknown_choice_of_negatives_names_the_choices():
    with pytest.raises(registry.UserError, match="'some': choose one of derangement, all"):
        pairs.max_margin(*_centers(), 1.0, "some")


# InfoNCE -----------------------------------------------------------------------------------------


def _embeddings(rows=4, size=3, seed=0):
    audio, image = np.random.default_rng(seed).normal(size=(2, rows, size))
    return audio.astype(np.float32), image.astype(np.float32)


def test_infonce_by_hand():
    # Audio at 0 and 90 degrees, images at 0 and 0: cosines (1, 1), (0, 0). By row each image is as
    # likely: ln 2. By column, at a scale of ln 3, softmax (3, 1) / 4: -ln 3/4 and -ln 1/4.
    audio, image = tf.constant([[2.0, 0.0], [0.0, 1.0]]), tf.constant([[1.0, 0.0], [5.0, 0.0]])
    expected = [(math.log(2) - math.log(3 / 4)) / 2, (math.log(2) - math.log(1 / 4)) / 2]
    np.testing.assert_allclose(pairs.info_nce(audio, image, math.log(3)), expected, rtol=1e-6)
    # A model that knows nothing has ln N.
    same = tf.ones([5, 2])
    np.testing.assert_allclose(pairs.info_nce(same, same, 10.0), [math.log(5)] * 5, rtol=1e-6)


def _infonce(audio, image, scale, num_rows):
    audio, image, scale = map(tf.convert_to_tensor, (audio, image, scale))
    with tf.GradientTape() as tape:
        tape.watch([audio, image, scale])
        rows = pairs.info_nce(audio, image, scale)
        total = tf.reduce_sum(rows) / num_rows
    return [rows, *tape.gradient(total, [audio, image, scale])]


def test_infonce_equals_its_twin_in_value_and_gradient():
    audio, image = _embeddings()
    twin = reference_clustering.info_nce
    rows, *found = _infonce(audio, image, 7.0, 4)
    assert rows.shape == [4] and rows.dtype == tf.float32
    np.testing.assert_allclose(rows, twin(audio, image, 7.0), rtol=1e-5, atol=1e-5)
    by_audio = reference.numeric_gradient(lambda x: np.mean(twin(x, image, 7.0)), audio)
    by_image = reference.numeric_gradient(lambda x: np.mean(twin(audio, x, 7.0)), image)
    by_scale = reference.numeric_gradient(
        lambda x: np.mean(twin(audio, image, x[0])), np.array([7.0])
    )
    for value, expected in zip(found, (by_audio, by_image, by_scale[0])):
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-4)


def test_infonce_of_two_replicas_equals_that_of_one(mirrored):
    audio, image = _embeddings(6)
    expected = _infonce(audio, image, 7.0, 6)
    halves = [replicas.halves(mirrored, x) for x in (audio, image)]
    step = tf.function(lambda *x: mirrored.run(lambda a, v: _infonce(a, v, 7.0, 6), args=x))
    *rows, by_scale = step(*halves)
    for one, two in zip(expected, rows):
        np.testing.assert_allclose(replicas.joined(mirrored, two), one, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(replicas.summed(mirrored, by_scale), expected[-1], rtol=1e-5)


@pytest.mark.parametrize("norm", [0.0, 1e-20, 1e6])
def test_infonce_is_finite_for_any_norm_and_refuses_one_pair(norm):
    audio, image = _embeddings()
    for x in _infonce(norm * audio, image, 100.0, 4):
        assert np.isfinite(x).all()
    with pytest.raises(registry.UserError, match="one pair has no mismatch"):
        pairs.info_nce(audio[:1], image[:1], 1.0)
