"""Intervals: exact against explicit resampling, and about identities rather than trials."""

import numpy as np
import pytest

from tfav.evaluation import bootstrap, metrics

FIGURES = [bootstrap.roc_auc, bootstrap.equal_error_rate, bootstrap.min_dcf]


def explicit(statistic, identity, seed, num_resamples=50):
    """The percentiles of a statistic of repeated trials: `statistic(trial indices)`."""
    values = []
    for drawn in bootstrap.resample(int(identity.max()) + 1, num_resamples, seed):
        trials = np.repeat(np.arange(len(identity)), drawn[identity])
        values.append(statistic(trials))
    return tuple(np.percentile(values, [2.5, 97.5]))


@pytest.fixture
def trials():
    rng = np.random.default_rng(0)
    identity = np.append(rng.integers(8, size=112), np.arange(8))
    score = rng.integers(15, size=120) / 15 + 0.1 * identity  # with ties
    return score, rng.random(120) < 0.5, identity


def test_the_interval_of_a_mean_equals_explicit_resampling(trials):
    score, _, identity = trials
    expected = explicit(lambda t: score[t].mean(), identity, seed=3)
    found = bootstrap.interval(bootstrap.mean(score, identity, 50, 3))
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("replicates", "figure"),
    [
        (bootstrap.roc_auc, metrics.roc_auc),
        (bootstrap.equal_error_rate, metrics.equal_error_rate),
        (bootstrap.min_dcf, metrics.min_dcf),
    ],
)
def test_the_interval_of_a_decision_figure_equals_explicit_resampling(trials, replicates, figure):
    score, label, identity = trials
    expected = explicit(lambda t: figure(score[t], label[t]), identity, seed=4)
    found = bootstrap.interval(replicates(score, label, identity, 50, 4))
    assert found == pytest.approx(expected, abs=1e-12)


def test_identities_are_resampled_and_not_trials():
    # Two people, 500 trials each, one always right and one always wrong. Whoever is drawn twice
    # decides: a quarter of the resamples is all right, a quarter all wrong. Trials: 0.5 +- 0.03.
    hit = np.repeat([1, 0], 500)
    found = bootstrap.mean(hit, np.repeat([0, 1], 500), 400, 0)
    assert bootstrap.interval(found) == (0.0, 1.0) and len(found) == 400


def test_parts_of_the_resamples_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    value, identity = rng.random(100), np.repeat(np.arange(20), 5)
    whole = bootstrap.resample(20, 100, 7), bootstrap.mean(value, identity, 100, 7)
    monkeypatch.setattr(bootstrap, "_BLOCK_COUNTS", 20 * 7)
    np.testing.assert_array_equal(bootstrap.resample(20, 100, 7), whole[0])
    found = bootstrap.mean(value, identity, 100, 7)
    np.testing.assert_allclose(found, whole[1], atol=1e-15)


@pytest.mark.parametrize("figure", FIGURES)
def test_parts_of_the_resamples_change_no_decision_figure(trials, monkeypatch, figure):
    whole = figure(*trials, 50, 4)
    for block in (1, 7 * len(trials[0])):
        monkeypatch.setattr(bootstrap, "_BLOCK_WEIGHTS", block)
        np.testing.assert_array_equal(figure(*trials, 50, 4), whole)


@pytest.mark.parametrize(
    ("replicates", "figure"),
    [
        (bootstrap.roc_auc, metrics.roc_auc),
        (bootstrap.equal_error_rate, metrics.equal_error_rate),
        (bootstrap.min_dcf, metrics.min_dcf),
    ],
)
@pytest.mark.parametrize("levels", [1, 2, 5, 10_000])
def test_every_resample_equals_the_figure_of_the_repeated_trials(replicates, figure, levels):
    rng = np.random.default_rng(levels)
    identity = np.repeat(np.arange(6), 9)
    score = rng.integers(levels, size=54).astype(np.float32)
    label = rng.random(54) < 0.4
    found = replicates(score, label, identity, 40, 9)
    for value, drawn in zip(found, bootstrap.resample(6, 40, 9)):
        taken = np.repeat(np.arange(54), drawn[identity])
        assert value == pytest.approx(figure(score[taken], label[taken]), abs=1e-14)


def test_the_seed_decides_the_interval():
    rng = np.random.default_rng(1)
    value, identity = rng.random(100), np.repeat(np.arange(20), 5)
    first = bootstrap.mean(value, identity, 100, 7)
    np.testing.assert_array_equal(bootstrap.mean(value, identity, 100, 7), first)
    assert (bootstrap.mean(value, identity, 100, 8) != first).any()


@pytest.mark.parametrize("figure", FIGURES)
def test_no_interval_is_made_up_without_resamples_or_with_one_identity(figure):
    score, label = np.array([0.1, 0.2, 0.3, 0.4]), np.array([True, False, True, False])
    for found in (
        figure(score, label, np.array([0, 0, 1, 1]), 0, 0),
        figure(score, label, np.zeros(4, int), 100, 0),
        bootstrap.mean(score, np.zeros(4, int), 100, 0),
    ):
        assert len(found) == 0 and bootstrap.interval(found) == (None, None)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_resample_that_leaves_one_class_is_undefined_and_not_counted(figure):
    # Person 0 has only right pairs and person 1 only wrong ones: a half of the resamples has one
    # class, the others both people, whose pairs are told apart perfectly.
    found = figure(np.array([0.9, 0.1]), np.array([True, False]), np.array([0, 1]), 50, 0)
    both = (bootstrap.resample(2, 50, 0) > 0).all(axis=1)
    np.testing.assert_array_equal(np.isnan(found), ~both)
    low, high = bootstrap.interval(found)
    assert low == high == (1.0 if figure is bootstrap.roc_auc else 0.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    # 30 people of differing ability, 20 trials each, truth 0.7. Trials alone would cover far less.
    rng = np.random.default_rng(2)
    covered = 0
    identity = np.repeat(np.arange(30), 20)
    for repeat in range(200):
        ability = rng.beta(3.5, 1.5, size=30)
        hit = rng.random(600) < ability[identity]
        low, high = bootstrap.interval(bootstrap.mean(hit, identity, 200, repeat))
        covered += low <= 0.7 <= high
    assert 0.87 <= covered / 200 <= 0.99
