"""Recall of a row's own image and of its own audio, by hand."""

import numpy as np
import pytest

from tfav import registry
from tfav.evaluation import pair_retrieval

# Audio by image: row 0 finds its own first, row 1 behind image 2, row 2 ties with image 0.
SCORE = np.array([[0.9, 0.2, 0.3], [0.1, 0.4, 0.8], [0.5, 0.0, 0.5]])


def test_a_rank_counts_all_that_are_as_good_or_better():
    assert pair_retrieval.ranks(SCORE).tolist() == [1, 2, 2]
    # By image: 0.9 is first of its column, 0.4 as well, 0.5 stands behind 0.8.
    assert pair_retrieval.ranks(SCORE.T).tolist() == [1, 1, 2]


def test_recall_in_both_directions_and_its_chance():
    found = pair_retrieval.evaluate(SCORE, tag="t", num_bootstrap=50, seed=0)
    value = {(r.metric.key, r.direction): r for r in found}
    assert value["pair_recall@1", "audio to image"].value == pytest.approx(1 / 3)
    assert value["pair_recall@1", "image to audio"].value == pytest.approx(2 / 3)
    assert value["pair_recall@1", "audio to image"].chance == pytest.approx(1 / 3)
    for k in (5, 10):  # all of three
        assert value[f"pair_recall@{k}", "image to audio"].value == 1.0
        assert value[f"pair_recall@{k}", "image to audio"].chance == 1.0
    assert all(r.low <= r.value <= r.high and r.num_trials == 3 for r in found)


def test_a_model_that_scores_all_alike_finds_nothing():
    found = pair_retrieval.evaluate(np.ones((20, 20)), tag="t", num_bootstrap=0, seed=0)
    assert [r.value for r in found] == [0.0] * 6
    chance = {r.metric.key: r.chance for r in found}
    assert chance == {"pair_recall@1": 0.05, "pair_recall@5": 0.25, "pair_recall@10": 0.5}


def test_a_score_that_is_no_number_is_a_sentence():
    with pytest.raises(registry.UserError, match="score is NaN or infinite"):
        pair_retrieval.ranks(np.array([[np.nan, 0], [0, 1]]))
