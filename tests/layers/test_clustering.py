"""Soft clustering: its equations, its degenerate inputs, and what must not change it."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import reference, reference_clustering
from tests.conformance import replicas
from tfav import compat, registry, weights
from tfav.layers import cluster_rounds, clustering, moving_mean

SHARPNESS = (0.1, 1.0, 30.0, 1000.0)


def _map(rows=2, positions=7, size=5, seed=0, scale=1.0):
    x = np.random.default_rng(seed).normal(size=(rows, positions, size))
    return (scale * x).astype(np.float32)


def _layer(features, clusters=3, size=4, **arguments):
    layer = clustering.SoftClustering(clusters, size, **arguments)
    layer(features)
    return layer


def _twin(layer, features, **arguments):
    """Centres and assignments of the twin, row by row."""
    kernel = layer.kernel.numpy()
    if layer.mode == "euclidean":
        arguments = {"bias": layer.bias.numpy(), "num_clusters": layer.num_clusters, **arguments}
    elif layer.mode == "spherical":
        arguments = {"squashed": layer.squash, **arguments}
    rows = [
        getattr(reference_clustering, layer.mode)(
            x,
            kernel,
            num_iterations=layer.num_iterations,
            sharpness=layer.sharpness,
            **arguments,
        )
        for x in features
    ]
    return [np.stack(part) for part in zip(*rows)]


def test_one_round_by_hand():
    # K = 2 with W_1 = I, W_2 = diag(1, -1); positions (3, 4) and (1, 0), z = 1.
    # Sums of uniform shares: (2, 2) and (2, -2): centres (1, 1) / sqrt 2 and (1, -1) / sqrt 2.
    # <u_1k, c_k> = 7 / sqrt 2 for both, since W_2 turns u and c alike: shares stay 1 / 2.
    layer = _layer(np.zeros([1, 2, 2], np.float32), 2, 2, num_iterations=1)
    compat.raw(layer.kernel).assign([[[1, 0], [0, 1]], [[1, 0], [0, -1]]])
    centers, assignments = layer(tf.constant([[[3.0, 4.0], [1.0, 0.0]]]))
    half = 1 / math.sqrt(2)
    np.testing.assert_allclose(centers, [[[half, half], [half, -half]]], atol=1e-6)
    np.testing.assert_allclose(assignments, np.full([1, 2, 2], 0.5), atol=1e-6)


def test_the_assignments_follow_from_the_centres_that_are_returned():
    # W_1 = 1, W_2 = 2, one position u = 1, one round: centres 1 and 1, products 1 and 2:
    # shares 1 / (1 + e) and e / (1 + e), not the 1 / 2 that made the centres.
    layer = _layer(np.zeros([1, 1, 1], np.float32), 2, 1, num_iterations=1)
    compat.raw(layer.kernel).assign([[[1.0]], [[2.0]]])
    centers, assignments = layer(tf.ones([1, 1, 1]))
    np.testing.assert_allclose(centers, [[[1.0], [1.0]]])
    np.testing.assert_allclose(assignments, [[[1 / (1 + math.e), math.e / (1 + math.e)]]])


@pytest.mark.parametrize("num_iterations", [1, 2, 5])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"squash": True}, {"mode": "euclidean"}, {"mode": "capsule"}],
    ids=["plain", "squash", "euclidean", "capsule"],
)
@pytest.mark.parametrize("sharpness", [0.3, 3.0])
def test_centres_and_assignments_equal_the_naive_loop(num_iterations, arguments, sharpness):
    features = _map()
    layer = _layer(features, num_iterations=num_iterations, sharpness=sharpness, **arguments)
    for found, expected in zip(layer(features), _twin(layer, features)):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", clustering.MODES)
def test_the_gradient_goes_through_every_round(mode):
    features, target = _map(1, 5, 3), _map(1, 3, 4, seed=1)[0]
    layer = _layer(features, sharpness=2.0, mode=mode)
    x = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(target * layer(x)[0])
    by_features, by_kernel = tape.gradient(loss, [x, compat.raw(layer.kernel)])

    def twin(x, kernel):
        arguments = {"num_iterations": 3, "sharpness": 2.0}
        if mode == "euclidean":
            arguments |= {"bias": np.zeros(4), "num_clusters": 3}
        return np.sum(target * getattr(reference_clustering, mode)(x, kernel, **arguments)[0])

    kernel = layer.kernel.numpy().astype(np.float64)
    expected = reference.numeric_gradient(lambda v: twin(v, kernel), features[0])
    np.testing.assert_allclose(by_features[0], expected, rtol=1e-3, atol=1e-4)
    expected = reference.numeric_gradient(lambda v: twin(features[0], v), kernel)
    np.testing.assert_allclose(by_kernel, expected, rtol=1e-3, atol=1e-4)


def test_projections_are_glorot_uniform_cluster_by_cluster_and_seeded():
    kernels = [
        _layer(np.zeros([1, 2, 512], np.float32), 10, 16, seed=seed).kernel.numpy()
        for seed in (1, 1, 2)
    ]
    limit = math.sqrt(6 / (512 + 16))  # over all clusters it would be sqrt(6 / (5120 + 160))
    assert kernels[0].shape == (10, 512, 16)
    assert 0.99 * limit < np.abs(kernels[0]).max() <= limit
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.5 * limit
    assert np.abs(kernels[0][0] - kernels[0][1]).max() > 0.5 * limit


@pytest.mark.parametrize("mode", clustering.MODES)
@pytest.mark.parametrize("sharpness", [0.5, 30.0])
def test_padding_has_no_influence(mode, sharpness):
    features = _map(2, 6)
    layer = _layer(features, sharpness=sharpness, mode=mode)
    valid = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], np.float32)
    outputs = []
    for padding in (0.0, 1e4, np.nan):
        padded = np.where(valid[..., None] > 0, features, padding).astype(np.float32)
        outputs.append([x.numpy() for x in layer(padded, tf.constant(valid))])
    for centers, assignments in outputs[1:]:
        np.testing.assert_array_equal(centers, outputs[0][0])
        np.testing.assert_array_equal(assignments, outputs[0][1])
    centers, assignments = outputs[0]
    np.testing.assert_array_equal(assignments[0, 4:], np.zeros([2, 3]))
    alone = layer(features[:1, :4])
    np.testing.assert_allclose(centers[0], alone[0][0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(assignments[0, :4], alone[1][0], rtol=1e-4, atol=1e-5)


def test_padding_gets_no_gradient():
    features = tf.constant(_map(1, 4))
    layer = _layer(features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = tf.reduce_sum(layer(features, tf.constant([[1, 1, 1, 0]]))[0] ** 3)
    gradient = tape.gradient(loss, features)
    np.testing.assert_array_equal(gradient[0, 3], np.zeros(5))
    assert np.abs(gradient[0, :3]).max() > 0


@pytest.mark.parametrize("mode", clustering.MODES)
@pytest.mark.parametrize("sharpness", SHARPNESS)
@pytest.mark.parametrize(
    "features",
    [
        np.zeros([1, 6, 5], np.float32),  # a silent clip
        _map(1, 1),  # one position
        np.repeat(_map(1, 1), 6, axis=1),  # all positions alike
        np.concatenate([_map(1, 3), -_map(1, 3)], axis=1),  # sums cancel out
        _map(1, 2),  # K = 4 is more than the positions
        _map(1, 6, scale=1e-9),
        _map(1, 6, scale=100.0),
    ],
    ids=["zero", "one", "alike", "cancel", "few", "tiny", "huge"],
)
def test_value_and_gradient_are_finite(mode, sharpness, features):
    x = tf.constant(features)
    layer = _layer(features, 4, 3, sharpness=sharpness, mode=mode)
    variables = [x, *(compat.raw(w) for w in layer.trainable_weights)]
    with tf.GradientTape() as tape:
        tape.watch(x)
        centers, assignments = layer(x)
        loss = tf.reduce_sum(centers**2 * _map(1, 4, 3)) + tf.reduce_sum(assignments**2)
    for value in (centers, assignments, *tape.gradient(loss, variables)):
        assert np.isfinite(value).all()
    np.testing.assert_allclose(tf.reduce_sum(assignments, axis=2), 1.0, rtol=1e-5)


@pytest.mark.parametrize("mode", ["spherical", "capsule"])
def test_zero_features_have_zero_centres_uniform_shares_and_no_gradient(mode):
    # l2_normalize would give them gradients of 1e12, which ruins Adam's memory in one step.
    x = tf.zeros([1, 6, 5])
    layer = _layer(x, mode=mode)
    with tf.GradientTape() as tape:
        tape.watch(x)
        centers, assignments = layer(x)
        loss = tf.reduce_sum(centers + tf.reduce_sum(assignments**3))
    np.testing.assert_array_equal(centers, np.zeros([1, 3, 4]))
    np.testing.assert_allclose(assignments, np.full([1, 6, 3], 1 / 3), rtol=1e-6)
    np.testing.assert_array_equal(tape.gradient(loss, x), np.zeros([1, 6, 5]))


def test_a_cluster_whose_every_share_underflows_keeps_its_direction():
    # W_1 = 1, W_2 = 0.1, positions 3 and 4, z = 1000: the second cluster's shares are e^-2700 and
    # e^-3600, zero in float32; its centre is +1 all the same.
    layer = _layer(np.zeros([1, 2, 1], np.float32), 2, 1, sharpness=1000.0)
    compat.raw(layer.kernel).assign([[[1.0]], [[0.1]]])
    centers, assignments = layer(tf.constant([[[3.0], [4.0]]]))
    np.testing.assert_array_equal(assignments, [[[1, 0], [1, 0]]])
    np.testing.assert_array_equal(centers, [[[1], [1]]])


def test_centres_start_at_evenly_spaced_positions_that_count():
    # As the authors start: positions 0, 2, 4 of 6. Of the four at 1, 2, 4, 5: ranks 0, 1, 2.
    valid = tf.constant([[[1]] * 6, [[0], [1], [1], [0], [1], [1]]]) > 0
    valid = tf.reshape(valid, [2, 6, 1])
    np.testing.assert_array_equal(cluster_rounds.evenly_spaced(valid, 3), [[0, 2, 4], [1, 2, 4]])
    # Five centres on two positions: floor(2 k / 5) = 0, 0, 0, 1, 1. None at all: the last one.
    np.testing.assert_array_equal(
        cluster_rounds.evenly_spaced(tf.ones([1, 2, 1]) > 0, 5), [[0, 0, 0, 1, 1]]
    )
    np.testing.assert_array_equal(
        cluster_rounds.evenly_spaced(tf.zeros([1, 3, 1]) > 0, 2), [[2, 2]]
    )


def test_euclidean_finds_two_heaps():
    # Heaps at 0 and 10, positions 0, 1, 10, 11: centres 0.5 and 10.5.
    layer = _layer(np.zeros([1, 4, 1], np.float32), 2, 1, sharpness=30.0, mode="euclidean")
    compat.raw(layer.kernel).assign([[1.0]])
    centers, assignments = layer(tf.constant([[[0.0], [1.0], [10.0], [11.0]]]))
    np.testing.assert_allclose(centers, [[[0.5], [10.5]]], atol=1e-5)
    np.testing.assert_allclose(assignments, [[[1, 0], [1, 0], [0, 1], [0, 1]]], atol=1e-6)


def test_one_round_of_routing_by_hand():
    # W_1 = 1, W_2 = 2, one position u = 1: coefficients 1 / 2, sums 0.5 and 1, capsules
    # 0.25 / 1.25 = 0.2 and 1 / 2. Agreement 1 * 0.2 and 2 * 0.5: softmax(0.2, 1.0).
    layer = _layer(np.zeros([1, 1, 1], np.float32), 2, 1, num_iterations=1, mode="capsule")
    compat.raw(layer.kernel).assign([[[1.0]], [[2.0]]])
    capsules, coefficients = layer(tf.ones([1, 1, 1]))
    np.testing.assert_allclose(capsules, [[[0.2], [0.5]]], rtol=1e-6)
    share = 1 / (1 + math.exp(0.8))
    np.testing.assert_allclose(coefficients, [[[share, 1 - share]]], rtol=1e-6)


def test_the_second_round_of_routing_adds_to_the_agreement_of_the_first():
    # From there: sums 0.310026 and 2 * 0.689974 = 1.379949, capsules 0.087683 and 0.655686;
    # agreement 0.2 + 0.087683 and 1 + 2 * 0.655686: softmax(0.287683, 2.311372).
    layer = _layer(np.zeros([1, 1, 1], np.float32), 2, 1, num_iterations=2, mode="capsule")
    compat.raw(layer.kernel).assign([[[1.0]], [[2.0]]])
    capsules, coefficients = layer(tf.ones([1, 1, 1]))
    np.testing.assert_allclose(capsules, [[[0.087683], [0.655686]]], rtol=1e-4)
    share = 1 / (1 + math.exp(2.311372 - 0.287683))
    np.testing.assert_allclose(coefficients, [[[share, 1 - share]]], rtol=1e-4)


def test_a_capsule_keeps_its_direction_and_is_shorter_than_1():
    # (3, 4) is 5 long: 25 / 26 of the direction (0.6, 0.8); 0.1 becomes 0.01 / 1.01; zero stays.
    x = tf.constant([[3.0, 4.0], [0.0, 0.1], [0.0, 0.0]])
    expected = [[0.6 * 25 / 26, 0.8 * 25 / 26], [0, 0.01 / 1.01], [0, 0]]
    np.testing.assert_allclose(cluster_rounds.shorten(x), expected, rtol=1e-5)


def test_a_squashed_vector_has_almost_unit_length_from_a_third_on():
    # tanh(10 * 0.3) = 0.99505; a vector of 0.03 becomes tanh(0.3) = 0.29131 long; zero stays.
    x = tf.constant([[0.3, 0.0], [0.0, 0.03], [0.0, 0.0]])
    np.testing.assert_allclose(
        cluster_rounds.squash(x), [[0.99505, 0], [0, 0.29131], [0, 0]], rtol=1e-4
    )


def test_it_computes_in_float32_under_mixed_bfloat16():
    features = _map(1, 9, 5)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = _layer(features)
        centers, assignments = layer(tf.cast(features, tf.bfloat16))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert centers.dtype == assignments.dtype == tf.float32
    rounded = tf.cast(tf.cast(features, tf.bfloat16), tf.float32)
    np.testing.assert_array_equal(layer(rounded)[0], centers)


def test_a_graph_of_unknown_sizes_equals_eager():
    features, valid = _map(), np.ones([2, 7], np.float32)
    for mode in clustering.MODES:
        layer = _layer(features, mode=mode)
        specs = [tf.TensorSpec([None, None, 5]), tf.TensorSpec([None, None])]
        graph = tf.function(layer.call, input_signature=specs)
        for found, expected in zip(graph(features, valid), layer(features, valid)):
            np.testing.assert_allclose(found, expected, atol=1e-5)
            assert found.shape[-1] == expected.shape[-1]


def test_weights_have_structural_names():
    names = {
        mode: list(weights.named_weights(_layer(_map(), mode=mode), "clustering"))
        for mode in clustering.MODES
    }
    assert names["spherical"] == names["capsule"] == ["clustering/kernel"]
    assert names["euclidean"] == ["clustering/kernel", "clustering/bias"]


def test_a_moving_mean_is_a_mean_from_the_first_step_on():
    mean = moving_mean.MovingMean((2,), momentum=0.5)
    np.testing.assert_array_equal(mean.value(), [0.0, 0.0])
    mean.observe(tf.constant([[1.0, 0.0], [3.0, 0.0]]))
    np.testing.assert_allclose(mean.value(), [2.0, 0.0])
    mean.observe(tf.constant([[5.0, 3.0]]))  # weights 1/3 and 2/3: (2 + 2 * 5) / 3, 2 * 3 / 3
    np.testing.assert_allclose(mean.value(), [4.0, 2.0])
    assert set(weights.named_weights(mean, "usual")) == {"usual/count", "usual/total"}


def test_two_replicas_have_the_moving_mean_of_one(mirrored):
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    with mirrored.scope():
        mean = moving_mean.MovingMean((2,))
    mirrored.run(mean.observe, args=(replicas.halves(mirrored, rows),))
    np.testing.assert_allclose(mean.value(), [3.0, 4.0], rtol=1e-5)


@pytest.mark.parametrize("mode", clustering.MODES)
def test_nearness_to_its_own_centres_is_what_the_assignments_are_made_of(mode):
    features = _map()
    rounds = 1 if mode == "capsule" else 3  # routing adds up the nearness of every round
    layer = _layer(features, num_iterations=rounds, sharpness=2.0, mode=mode)
    centers, assignments = layer(features)
    near = layer.nearness(features, centers)
    np.testing.assert_allclose(tf.nn.softmax(2.0 * near), assignments, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"num_clusters": 0}, "num_clusters=0.*1 or more"),
        ({"cluster_size": 0}, "cluster_size=0"),
        ({"num_iterations": 0}, "num_iterations=0"),
        ({"sharpness": 0.0}, "sharpness=0.0.*positive"),
        ({"sharpness": math.nan}, "sharpness=nan"),
        ({"sharpness": math.inf}, "sharpness=inf"),
        ({"mode": "hyperbolic"}, "'hyperbolic': choose one of spherical, euclidean, capsule"),
        ({"mode": "capsule", "squash": True}, "squash=True.*'capsule'"),
        ({"mode": "euclidean", "squash": True}, "squash=True.*'euclidean'"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(arguments, says):
    with pytest.raises(registry.UserError, match=says):
        clustering.SoftClustering(**{"num_clusters": 2, "cluster_size": 2, **arguments})
