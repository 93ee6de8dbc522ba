"""The theorems of the three papers, as properties of random inputs (P1, P2, P3, P5, P6)."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tfav import theory

SEEDS = range(40)


def _close_enough(x):
    return 1e-9 * max(1.0, abs(x))


def _lse(x):
    """Log-sum-exp, float64."""
    return theory.smooth_max(np.asarray(x, np.float64), 1.0)


# P1, P2: the implicit loss and its floor.


def _implicit_batch(seed):
    rng = np.random.default_rng(seed)
    num_classes, num_rows, size = rng.integers(2, 13), rng.integers(2, 41), rng.integers(1, 9)
    weights, face, voice = (
        10 ** rng.uniform(-2, 1) * rng.normal(size=(n, size))
        for n in (num_classes, num_rows, num_rows)
    )
    return weights, face, voice, rng.integers(0, num_classes, num_rows)


def _implicit_rows(weights, face, voice, label):
    """The sum of both modalities' cross-entropies per row, stable for large norms."""
    rows = np.arange(len(label))
    return sum(_lse(x @ weights.T) - (x @ weights.T)[rows, label] for x in (face, voice))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_implicit_loss_stays_above_the_floor_of_proposition_1(seed):
    weights, face, voice, label = _implicit_batch(seed)
    loss = _implicit_rows(weights, face, voice, label).mean()
    floor = theory.implicit_floor(weights, face, voice, label)
    assert loss >= floor - _close_enough(floor)

    # The step before Cauchy-Schwarz, w_j . vector, lies between; written as the naive loop.
    m, n = len(weights), len(face)
    between = 2 * np.log(m)
    naive_floor = 2 * np.log(m)
    largest = max(np.linalg.norm(w) for w in weights)
    for j in range(m):
        vector = np.zeros(weights.shape[1])
        for i in range(n):
            vector += (m - 1 if label[i] == j else -1) * (face[i] + voice[i])
        between -= weights[j] @ vector / (m * n)
        naive_floor -= largest * np.linalg.norm(vector) / (m * n)
    assert floor == pytest.approx(naive_floor, rel=1e-9, abs=1e-9)
    assert loss >= between - _close_enough(between)
    assert between >= floor - _close_enough(floor)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_weighted_loss_stays_above_the_floor_of_corollary_1(seed):
    weights, face, voice, label = _implicit_batch(seed)
    rng = np.random.default_rng(1000 + seed)
    # In (0, 1) as the corollary asks, and beyond 1 as normalised identity weights are.
    for top in (1.0, 3.0):
        s = rng.uniform(0, top, len(label))
        loss = np.mean(s * _implicit_rows(weights, face, voice, label))
        floor = theory.implicit_floor(weights, face, voice, label, sample_weight=s)
        assert loss >= floor - _close_enough(floor)
        # The weights scale the rows: the floor of scaled embeddings, the mean weight outside.
        scaled = theory.implicit_floor(weights, s[:, None] * face, s[:, None] * voice, label)
        expected = scaled + 2 * np.log(len(weights)) * (s.mean() - 1)
        assert floor == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_floor_is_reached_by_zero_weights_and_by_zero_embeddings():
    weights, face, voice, label = _implicit_batch(3)
    expected = 2 * np.log(len(weights))
    for w, x, v in [(0 * weights, face, voice), (weights, 0 * face, 0 * voice)]:
        assert theory.implicit_floor(w, x, v, label) == pytest.approx(expected, abs=1e-12)
        assert _implicit_rows(w, x, v, label).mean() == pytest.approx(expected, abs=1e-12)


def test_the_floor_of_two_classes_by_hand():
    # w = (3, 4), (0, 0): Cw = 5. u_0 = (1, 0) + (1, 0) = (2, 0), u_1 = (0, 1) + (0, 0) = (0, 1).
    # D_0 = |(2, -1)| = sqrt 5 = D_1. Floor 2 ln 2 - 5 / (2 * 2) * 2 sqrt 5 = 1.386294 - 5.590170.
    arguments = [[3, 4], [0, 0]], [[1, 0], [0, 1]], [[1, 0], [0, 0]], [0, 1]
    assert theory.implicit_floor(*arguments) == pytest.approx(-4.203876, abs=1e-6)
    # Weights (1, 0): D = |(2, 0)| twice: 2 ln 2 * 0.5 - 5 / 4 * 4 = 0.693147 - 5.
    floor = theory.implicit_floor(*arguments, sample_weight=[1, 0])
    assert floor == pytest.approx(-4.306853, abs=1e-6)


def test_an_identity_absent_from_the_batch_counts_in_the_floor():
    # M = 2, one row of class 0 with u = (2): D_0 = 1 * 2, and D_1 = |-2|: 2 ln 2 - 1 / 2 * 4.
    floor = theory.implicit_floor([[1.0], [0.0]], [[1.0]], [[1.0]], [0])
    assert floor == pytest.approx(2 * math.log(2) - 2, abs=1e-12)


@pytest.mark.parametrize("label, weight", [([2], None), ([-1], None), ([0], [-1.0]), ([], None)])
def test_a_floor_without_meaning_is_refused(label, weight):
    x = np.ones([len(label), 1])
    with pytest.raises(ValueError):
        theory.implicit_floor([[1.0], [0.0]], x, x, label, weight)


# P3: the explicit loss of one anchor, l = lse(ln m, a).


def _saturated(a, m):
    return _lse(np.concatenate([[np.log(m)], a]))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_explicit_loss_is_a_softplus_and_nearly_a_hinge(seed):
    rng = np.random.default_rng(seed)
    a = 10 ** rng.uniform(-1, 2) * rng.normal(size=rng.integers(1, 30))
    m, n = 1 + 10 ** rng.uniform(-2, 1), len(a)
    loss, t = _saturated(a, m), _saturated(a, m - 1)
    hinge = max(0.0, a.max() + m - 1)
    assert loss == pytest.approx(np.logaddexp(0, t), abs=1e-9)
    assert -1e-9 <= loss - max(t, 0) <= np.log(2) + 1e-9
    assert abs(loss - hinge) <= np.log(2) + max(m - 1, np.log(n + m - 1)) + 1e-9
    assert max(np.log(m), a.max()) - 1e-9 <= loss
    assert loss <= np.logaddexp(np.log(m), np.log(n) + a.max()) + 1e-9


def test_the_limits_of_the_explicit_loss():
    m = 5.4
    easy, hard = np.array([-200.0, -300.0]), np.array([200.0, 100.0])
    assert _saturated(easy, m) == pytest.approx(np.log(m), abs=1e-12)
    assert _saturated(hard, m) - 200 == pytest.approx(0, abs=1e-12)
    # The paper's hinge is m - 1 away there: m is no margin.
    assert max(0, hard.max() + m - 1) - 200 == pytest.approx(m - 1)
    for a in (-31.0, 31.0):
        assert _saturated(np.array([a]), 1 + 1e-12) == pytest.approx(max(a, 0), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_easy_negatives_get_no_gradient_and_all_together_less_than_one(seed):
    a = np.random.default_rng(seed).normal(size=6)
    gradient = reference.numeric_gradient(lambda x: _saturated(x, 5.4), a)
    expected = np.exp(a) / (5.4 + np.exp(a).sum())
    np.testing.assert_allclose(gradient, expected, atol=1e-8)
    assert (gradient >= 0).all() and gradient.sum() < 1
    easy = reference.numeric_gradient(lambda x: _saturated(x, 5.4), a - 50)
    np.testing.assert_allclose(easy, 0, atol=1e-12)


# P5: the scale of cosine logits.

TABLE = [  # number of classes, paper's bound, tight bound, at p = 0.99
    (6, 2.2159, 2.5852),
    (60, 4.1942, 4.2641),
    (101, 4.5099, 4.5546),
    (309, 5.1293, 5.1459),
    (5842, 6.6316, 6.6328),
    (5994, 6.6445, 6.6456),
]


def _posteriors(weights, scale):
    """Posterior of each class when every feature sits on its class centre in every modality."""
    logits = scale * sum(w @ w.T for w in weights)
    return np.exp(np.diag(logits) - _lse(logits))


def _simplex(num_classes):
    return reference.normalize(np.eye(num_classes) - 1 / num_classes)


@pytest.mark.parametrize("num_classes, paper, tight", TABLE)
def test_the_bounds_of_the_papers_data_sets(num_classes, paper, tight):
    assert theory.cosine_scale_bound(num_classes, 0.99) == pytest.approx(paper, abs=1e-4)
    assert theory.cosine_scale_bound(num_classes, 0.99, tight=True) == pytest.approx(
        tight, abs=1e-4
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_no_weights_beat_the_mean_inverse_posterior(seed):
    rng = np.random.default_rng(seed)
    c, s = int(rng.integers(2, 12)), 10 ** rng.uniform(-1, 1)
    a, v = (reference.normalize(rng.normal(size=(c, rng.integers(1, 12)))) for _ in range(2))
    inverse = np.mean(1 / _posteriors([a, v], s))
    tight = 1 + (c - 1) * np.exp(-2 * s * c / (c - 1))
    paper = 1 + (c - 1) * np.exp(-2 * s * (c + 1) / (c - 1))
    assert inverse >= tight - _close_enough(tight)
    assert tight >= paper


@pytest.mark.parametrize("num_classes", [2, 6, 60])
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_simplex_attains_the_mean_inverse_posterior(num_classes, scale):
    simplex = _simplex(num_classes)
    inverse = np.mean(1 / _posteriors([simplex, simplex], scale))
    best = 1 + (num_classes - 1) * np.exp(-2 * scale * num_classes / (num_classes - 1))
    assert inverse == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("num_classes, at_paper", [(6, 0.976078), (60, 0.988490)])
def test_only_the_tight_bound_reaches_the_posterior_it_names(num_classes, at_paper):
    simplex = _simplex(num_classes)
    tight = theory.cosine_scale_bound(num_classes, 0.99, tight=True)
    np.testing.assert_allclose(_posteriors([simplex, simplex], tight), 0.99, atol=1e-9)
    paper = theory.cosine_scale_bound(num_classes, 0.99)
    np.testing.assert_allclose(_posteriors([simplex, simplex], paper), at_paper, atol=1e-6)


@pytest.mark.parametrize("num_modalities", [1, 2, 3])
def test_the_tight_bound_holds_for_any_number_of_modalities(num_modalities):
    scale = theory.cosine_scale_bound(5, 0.9, num_modalities, tight=True)
    np.testing.assert_allclose(_posteriors([_simplex(5)] * num_modalities, scale), 0.9, atol=1e-9)
    # n = 1 is CosFace's bound: (C - 1) / C ln((C - 1) p / (1 - p)) = 0.8 * ln 36, both ways.
    if num_modalities == 1:
        assert scale == pytest.approx(0.8 * math.log(36), abs=1e-12)
        assert theory.cosine_scale_bound(5, 0.9, 1) == pytest.approx(scale, abs=1e-12)


@pytest.mark.parametrize("tight", [False, True])
def test_the_bound_grows_with_the_posterior_and_with_the_classes(tight):
    by_posterior = [theory.cosine_scale_bound(6, p, tight=tight) for p in (0.5, 0.9, 0.99, 0.999)]
    by_classes = [theory.cosine_scale_bound(c, 0.99, tight=tight) for c in (2, 3, 6, 60, 600, 6000)]
    assert (np.diff(by_posterior) > 0).all() and (np.diff(by_classes) > 0).all()


@pytest.mark.parametrize("num_classes", [2, 6, 60, 5994])
def test_the_tight_bound_is_above_the_papers_by_c_plus_1_over_c(num_classes):
    ratio = theory.cosine_scale_bound(num_classes, 0.99, tight=True)
    ratio /= theory.cosine_scale_bound(num_classes, 0.99)
    assert ratio == pytest.approx((num_classes + 1) / num_classes, rel=1e-12)


@pytest.mark.parametrize("arguments", [(1, 0.9), (6, 0.0), (6, 1.0), (6, 0.9, 0)])
def test_a_bound_without_meaning_is_refused(arguments):
    with pytest.raises(ValueError):
        theory.cosine_scale_bound(*arguments)


# Gradient blending.


def test_the_weights_of_blended_losses_by_hand():
    # fused: G = 2.0 - 1.0 = 1, O = (1.0 - 0.5) - (2.0 - 2.0) = 0.5: 1 / 0.25 = 4.
    # audio: G = 2.0 - 1.5 = 0.5, O = (1.5 - 0.5) - 0 = 1: 0.5. image: V rose: 0. Sum 4.5.
    weights = theory.blending_weights(
        {"fused": (2.0, 0.5), "audio": (2.0, 0.5), "image": (2.0, 1.0)},
        {"image": (2.0, 2.5), "fused": (2.0, 1.0), "audio": (2.0, 1.5)},
    )
    assert weights == pytest.approx({"fused": 8 / 9, "audio": 1 / 9, "image": 0.0})


@pytest.mark.parametrize("seed", SEEDS)
def test_the_weights_of_blended_losses_follow_their_ratio_and_sum_to_one(seed):
    rng = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(rng.integers(1, 5))]
    train = {k: tuple(rng.uniform(0, 3, 2)) for k in names}
    validation = {k: tuple(rng.uniform(0, 3, 2)) for k in names}
    weights = theory.blending_weights(train, validation)
    assert sum(weights.values()) == pytest.approx(1) and min(weights.values()) >= 0
    value = {}
    for k in names:
        gained = validation[k][0] - validation[k][1]
        grown = (validation[k][1] - train[k][1]) - (validation[k][0] - train[k][0])
        value[k] = max(gained, 0) / max(abs(grown), 1e-3) ** 2
    for k in names:
        expected = value[k] / sum(value.values()) if any(value.values()) else 1 / len(names)
        assert weights[k] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_no_overfitting_and_no_gain_are_no_division_by_zero():
    # The gap of `fused` did not grow: O counts as 0.1, and its weight is 1 / 0.01 = 100 to 1.
    weights = theory.blending_weights(
        {"fused": (2.0, 1.0), "audio": (2.0, 0.0)},
        {"fused": (2.0, 1.0), "audio": (2.0, 1.0)},
        least_overfitting=0.1,
    )
    assert weights == pytest.approx({"fused": 100 / 101, "audio": 1 / 101})
    # Nothing generalised: equal weights.
    worse = {"fused": (1.0, 2.0), "audio": (1.0, 1.0)}
    assert theory.blending_weights(worse, worse) == {"fused": 0.5, "audio": 0.5}


@pytest.mark.parametrize(
    "train, validation, least",
    [
        ({}, {}, 1e-3),
        ({"fused": (1.0, 0.0)}, {"audio": (1.0, 0.0)}, 1e-3),
        ({"fused": (1.0, math.nan)}, {"fused": (1.0, 0.0)}, 1e-3),
        ({"fused": (1.0, 0.0)}, {"fused": (1.0, 0.0)}, 0.0),
    ],
)
def test_blending_weights_without_meaning_are_refused(train, validation, least):
    with pytest.raises(ValueError):
        theory.blending_weights(train, validation, least)


# P6: smooth extremum.


@pytest.mark.parametrize("seed", SEEDS)
def test_the_smooth_maximum_is_at_most_ln_n_over_z_above_the_maximum(seed):
    rng = np.random.default_rng(seed)
    x, z = 5 * rng.normal(size=rng.integers(1, 10)), 10 ** rng.uniform(-1, 3)
    gap = theory.smooth_max(x, z) - x.max()
    assert -1e-12 <= gap <= np.log(len(x)) / z + 1e-12
    # The sign of x does not matter, only equal numbers reach the upper end.
    equal = np.full(len(x), x[0])
    assert theory.smooth_max(equal, z) - x[0] == pytest.approx(np.log(len(x)) / z, abs=1e-12)
    if len(x) > 1:
        assert gap < np.log(len(x)) / z

    # Smooth absolute value, and the maximum of two absolute values (Eq. 3, 4).
    absolute = theory.smooth_max(np.stack([x, -x]), z, axis=0) - np.abs(x)
    assert (absolute >= -1e-12).all() and (absolute <= np.log(2) / z + 1e-12).all()
    pair = np.array([x[0], x[-1]])
    gap = theory.smooth_max(np.concatenate([pair, -pair]), 2 * z) - np.abs(pair).max()
    assert -1e-12 <= gap <= np.log(4) / (2 * z) + 1e-12


@pytest.mark.parametrize("seed", SEEDS)
def test_the_smooth_maximum_keeps_the_laws_of_a_maximum(seed):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=6), 10 ** rng.uniform(-1, 2)
    value = theory.smooth_max(x, z)
    assert theory.smooth_max(rng.permutation(x), z) == pytest.approx(value, abs=1e-12)
    assert theory.smooth_max(x + 3.7, z) == pytest.approx(value + 3.7, abs=1e-12)
    assert theory.smooth_max(x, 2 * z) <= value
    assert theory.smooth_max(x, 2.0) < theory.smooth_max(x, 1.0)
    # Eq. 6: taken two by two it is the same number, so more variables cost no extra error.
    nested = x[0]
    for other in x[1:]:
        nested = theory.smooth_max(np.array([nested, other]), z)
    assert nested == pytest.approx(value, abs=1e-12)
    assert -theory.smooth_max(-x, z) <= x.min() + 1e-12


def test_the_smooth_maximum_by_hand_and_along_an_axis():
    # ln(e^0 + e^ln 3) = ln 4 with z = 1; with z = 2: ln(1 + 9) / 2.
    x = np.array([[0.0, math.log(3)], [5.0, 5.0]])
    np.testing.assert_allclose(theory.smooth_max(x, 1.0), [math.log(4), 5 + math.log(2)])
    assert theory.smooth_max(x[0], 2.0) == pytest.approx(math.log(10) / 2)
    np.testing.assert_allclose(theory.smooth_max(x.T, 1.0, axis=0), [math.log(4), 5 + math.log(2)])


def test_the_smooth_maximum_is_finite_for_float32_numbers_and_a_huge_z():
    x = np.array([-300.0, 200.0, 200.0], np.float32)
    assert theory.smooth_max(x, 1e4) == pytest.approx(200 + math.log(2) / 1e4, abs=1e-9)


def test_the_gradient_of_the_smooth_minimum_is_the_soft_assignment():
    z, distance = 3.0, tf.constant([0.2, 0.5, 1.3], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(distance)
        minimum = -tf.reduce_logsumexp(-z * distance) / z
    assert float(minimum) == pytest.approx(-theory.smooth_max(-distance.numpy(), z), abs=1e-12)
    assignment = np.exp(-z * distance.numpy()) / np.exp(-z * distance.numpy()).sum()
    np.testing.assert_allclose(tape.gradient(minimum, distance), assignment, atol=1e-6)


@pytest.mark.parametrize("z", [0.0, -1.0, math.nan])
def test_a_sharpness_that_is_not_positive_is_refused(z):
    with pytest.raises(ValueError):
        theory.smooth_max(np.array([1.0]), z)
