"""What the supplement of DMC derives, as properties of random inputs (P6, P7).

P6's smooth maximum itself is held to its laws in `test_theory.py`; here stands what the clustering
makes of it. Twins in float64 carry the proofs, the layer is held to the same in float32.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests import reference, reference_clustering
from tfav import compat, theory
from tfav.layers import clustering
from tfav.losses import pairs

SEEDS = range(20)


def _projected(seed, positions=12, clusters=4, size=6):
    return np.random.default_rng(seed).normal(size=(positions, clusters, size))


def _shares(seed, positions=12, clusters=4):
    return np.random.default_rng(seed + 1000).dirichlet(np.ones(clusters), positions)


def _iterate(projected, sharpness, num_iterations):
    """Yields shares and the centres they make, both of each round."""
    shares = np.full(projected.shape[:2], 1 / projected.shape[1])
    for _ in range(num_iterations):
        centers = np.array(
            [reference_clustering.unit(c) for c in reference_clustering.update(projected, shares)]
        )
        yield shares, centers
        shares = reference_clustering.assign(projected, centers, sharpness)


def _layer(kernel, **arguments):
    layer = clustering.SoftClustering(len(kernel), kernel.shape[2], **arguments)
    layer(np.zeros([1, 1, kernel.shape[1]], np.float32))
    compat.raw(layer.kernel).assign(kernel)
    return layer


# P6: the objective is a soft minimum of distances, and the shares are its gradient.


@pytest.mark.parametrize("z", [0.1, 1.0, 10.0])
def test_the_shares_are_the_gradient_of_the_soft_minimum_of_distances(z):
    distance = np.random.default_rng(0).normal(size=5)
    gradient = reference.numeric_gradient(lambda d: -theory.smooth_max(-d, z), distance)
    np.testing.assert_allclose(gradient, reference_clustering.softmax(-z * distance), atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_objective_is_the_hard_one_up_to_p_ln_k_over_z(seed):
    projected, z = _projected(seed), 10 ** np.random.default_rng(seed).uniform(-1, 3)
    *_, (_, centers) = _iterate(projected, z, 3)
    hard = sum(max(u @ c for u, c in zip(p, centers)) for p in projected)
    gap = reference_clustering.objective(projected, centers, z) - hard
    assert -1e-9 <= gap <= len(projected) * np.log(4) / z + 1e-9
    products = np.einsum("pkd,kd->pk", projected, centers)
    smooth = theory.smooth_max(products, z).sum()
    assert smooth == pytest.approx(gap + hard, rel=1e-12)


# P7: the centre that the shares make.


@pytest.mark.parametrize("seed", SEEDS)
def test_the_centre_is_stationary_and_the_best_direction(seed):
    random = np.random.default_rng(seed)
    for total in reference_clustering.update(_projected(seed), _shares(seed)):
        center = reference_clustering.unit(total)
        # Eq. 9: (S . c) c = S; the opposite direction solves it too, as the minimum.
        for c in (center, -center):
            residual = total - (total @ c) * c
            assert np.linalg.norm(residual) <= 1e-9 * np.linalg.norm(total)
        others = random.normal(size=(1000, len(total)))
        others /= np.linalg.norm(others, axis=1, keepdims=True)
        assert (others @ total <= total @ center + 1e-12).all()
        assert (others @ total >= total @ -center - 1e-12).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gradient_of_the_distance_is_that_of_equation_8(seed):
    u, c = np.random.default_rng(seed).normal(size=(2, 6))

    def by_formula(c):
        length = np.linalg.norm(c)
        return -u / length + (u @ c) * c / length**3

    numeric = reference.numeric_gradient(lambda c: -u @ c / np.linalg.norm(c), c)
    np.testing.assert_allclose(numeric, by_formula(c), atol=1e-6)
    assert by_formula(c) @ c == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(by_formula(7 * c), by_formula(c) / 7, atol=1e-12)


@pytest.mark.parametrize("z", [0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_objective_never_falls_from_one_round_to_the_next(seed, z):
    projected = _projected(seed)
    values = [
        reference_clustering.objective(projected, centers, z)
        for _, centers in _iterate(projected, z, 30)
    ]
    assert (np.diff(values) >= -1e-9 * np.abs(values[:-1])).all()
    assert values[-1] > values[0]


@pytest.mark.parametrize("z", [0.1, 1.0, 10.0, 100.0])
def test_the_objective_of_the_layer_never_falls_either(z):
    random = np.random.default_rng(0)
    kernel = random.normal(size=(4, 5, 6)).astype(np.float32)
    features = random.normal(size=(1, 20, 5)).astype(np.float32)
    projected = reference_clustering.project(features[0], kernel)
    values = []
    for num_iterations in (1, 2, 3, 5, 10, 20):
        layer = _layer(kernel, num_iterations=num_iterations, sharpness=z)
        centers = layer(features)[0][0].numpy()
        values.append(reference_clustering.objective(projected, centers, z))
    assert (np.diff(values) >= -1e-5 * np.abs(values[:-1])).all()
    assert values[-1] > values[0]


def test_three_rounds_are_a_truncation_and_many_converge():
    def residual(seed, num_iterations):
        projected = _projected(seed, positions=60)
        *_, (_, centers) = _iterate(projected, 1.0, num_iterations)
        shares = reference_clustering.assign(projected, centers, 1.0)
        totals = reference_clustering.update(projected, shares)
        rest = totals - np.sum(totals * centers, axis=1, keepdims=True) * centers
        return np.linalg.norm(rest) / np.linalg.norm(totals)

    for seed in range(2):
        assert residual(seed, 3) > 0.01
        assert residual(seed, 400) < 1e-6


def test_a_small_sharpness_gives_means_and_a_large_one_gives_whole_positions():
    random = np.random.default_rng(0)
    kernel = random.normal(size=(4, 5, 6)).astype(np.float32)
    features = random.normal(size=(1, 20, 5)).astype(np.float32)
    projected = reference_clustering.project(features[0], kernel)
    centers, shares = _layer(kernel, sharpness=1e-5)(features)
    means = [reference_clustering.unit(c) for c in projected.mean(axis=0)]
    np.testing.assert_allclose(centers[0], means, atol=1e-4)
    np.testing.assert_allclose(shares, np.full([1, 20, 4], 0.25), atol=1e-4)
    _, shares = _layer(kernel, sharpness=1e5)(features)
    np.testing.assert_allclose(np.max(shares, axis=2), 1.0, atol=1e-6)
    assert len(set(np.argmax(shares[0], axis=1))) > 1


def test_shares_are_positive_and_sum_to_one_over_clusters():
    random = np.random.default_rng(1)
    for z in (0.1, 1.0, 3.0):  # larger products round to 0 and 1 in float32
        kernel = 0.3 * random.normal(size=(4, 5, 6)).astype(np.float32)
        layer = _layer(kernel, sharpness=z)
        shares = layer(random.normal(size=(3, 20, 5)).astype(np.float32))[1].numpy()
        assert (shares > 0).all() and (shares < 1).all()
        np.testing.assert_allclose(shares.sum(axis=2), 1.0, rtol=1e-5)


def test_the_order_of_positions_and_of_clusters_does_not_matter():
    random = np.random.default_rng(2)
    kernel = random.normal(size=(4, 5, 6)).astype(np.float32)
    features = random.normal(size=(1, 20, 5)).astype(np.float32)
    centers, shares = (x[0].numpy() for x in _layer(kernel, sharpness=3.0)(features))
    order = random.permutation(20)
    moved = [x[0].numpy() for x in _layer(kernel, sharpness=3.0)(features[:, order])]
    np.testing.assert_allclose(moved[0], centers, atol=1e-5)
    np.testing.assert_allclose(moved[1], shares[order], atol=1e-5)
    order = random.permutation(4)
    moved = [x[0].numpy() for x in _layer(kernel[order], sharpness=3.0)(features)]
    np.testing.assert_allclose(moved[0], centers[order], atol=1e-5)
    np.testing.assert_allclose(moved[1], shares[:, order], atol=1e-5)


def test_equal_projections_never_tell_clusters_apart():
    random = np.random.default_rng(3)
    one = random.normal(size=(1, 5, 6)).astype(np.float32)
    features = random.normal(size=(1, 20, 5)).astype(np.float32)
    for num_iterations in (1, 3, 20):
        layer = _layer(np.repeat(one, 4, axis=0), num_iterations=num_iterations, sharpness=10.0)
        centers, shares = layer(features)
        np.testing.assert_allclose(shares, np.full([1, 20, 4], 0.25), atol=1e-5)
        np.testing.assert_allclose(centers, np.repeat(centers[:, :1], 4, axis=1), atol=1e-5)
    # A hair's breadth apart, the rounds pull them further.
    apart = np.repeat(one, 4, axis=0) + 0.01 * random.normal(size=(4, 5, 6)).astype(np.float32)
    shares = _layer(apart, num_iterations=20, sharpness=10.0)(features)[1]
    assert np.abs(shares - 0.25).max() > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_the_similarity_of_pairs_is_symmetric_and_k_with_itself(seed):
    a, v = np.random.default_rng(seed).normal(size=(2, 3, 5, 4)).astype(np.float32)
    scores = pairs.pair_similarity(a, v).numpy()
    np.testing.assert_allclose(scores, tf.transpose(pairs.pair_similarity(v, a)), atol=1e-5)
    assert (np.abs(scores) <= 5).all()
    np.testing.assert_allclose(np.diag(pairs.pair_similarity(a, 3 * a)), 5, rtol=1e-5)
