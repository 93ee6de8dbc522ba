"""The protocol `clusters`: how positions are assigned, how evenly, and what a step takes."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import untrained
from tfav.commands.protocols import by_clusters
from tfav.evaluation import cluster_use


class Fixed:
    """Stands for a recipe: two rows of three positions and two clusters, one position padding."""

    def clusters(self, batch, modality):
        assert modality == "audio" and batch is None
        shares = [[[0.9, 0.1], [0.3, 0.7], [0.0, 0.0]], [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]]
        return None, tf.constant(shares), None


def test_rows_are_means_over_the_positions_that_count():
    # Row 0: largest (0.9 + 0.7) / 2, clusters (0.9 + 0.3) / 2 and 0.4; row 1: 2.5 / 3, half each.
    found = by_clusters.rows_of(Fixed(), "audio", None)
    np.testing.assert_allclose(found, [[0.8, 0.6, 0.4], [2.5 / 3, 0.5, 0.5]], rtol=1e-6)


def test_figures_by_hand():
    # Shares of all: 3 / 4 and 1 / 4, entropy -(3/4 ln 3/4 + 1/4 ln 1/4) / ln 2 = 0.811278.
    share = np.array([[1.0, 0.0], [0.5, 0.5]])
    largest, use = cluster_use.evaluate(
        np.array([0.9, 0.7]), share, modality="image", tag="test", num_bootstrap=20, seed=0
    )
    assert largest.value == pytest.approx(0.8) and largest.chance == 0.5
    assert 0.7 <= largest.low <= largest.high <= 0.9
    assert use.value == pytest.approx(0.811278, abs=1e-6) and use.chance is None
    assert {largest.direction, use.direction} == {"image"}


def test_a_single_cluster_has_no_entropy_and_an_unused_one_adds_nothing():
    given = {"modality": "audio", "tag": "test", "num_bootstrap": 0, "seed": 0}
    (only,) = cluster_use.evaluate(np.ones(2), np.ones([2, 1]), **given)
    assert only.metric == cluster_use.LARGEST and only.value == only.chance == 1.0
    assert cluster_use.entropy(np.array([0.5, 0.5, 0.0])) == pytest.approx(math.log(2))


def test_the_time_per_step_is_the_median_and_less_is_better():
    found = cluster_use.step(np.array([5.0, 1.0, 900.0]), tag="test")
    assert found.value == 5.0 and found.metric.unit == "ms" and found.metric.lower_is_better


def test_a_step_is_timed_without_the_runs_own_weights():
    c = untrained.config("unused", "dmc")
    c.train.batch_size = 2
    milliseconds = by_clusters.step_milliseconds(c)
    assert milliseconds.shape == (7,) and (milliseconds > 0).all()
