"""Exact ranking against arithmetic by hand and the naive loop."""

import tracemalloc

import numpy as np
import pytest

from tfav.evaluation import retrieval


def naive(query, gallery, query_label, gallery_label):
    """(average precision, rank of the first relevant item) of every query, by sorting its row."""
    average_precision, first_rank = [], []
    for q, identity in zip(query, query_label):
        row = []
        for g, other in zip(gallery, gallery_label):
            cosine = float(q @ g) / max(np.linalg.norm(q) * np.linalg.norm(g), 1e-300)
            row.append((-round(cosine, 9), bool(identity == other)))
        relevant = [r for r, (_, is_right) in enumerate(sorted(row), start=1) if is_right]
        precision = [(k + 1) / r for k, r in enumerate(relevant)]
        average_precision.append(sum(precision) / len(precision) if precision else 0.0)
        first_rank.append(relevant[0] if relevant else np.inf)
    return np.array(average_precision), np.array(first_rank)


def mean_average_precision(*sides):
    return float(retrieval.rank(*sides).average_precision.mean())


def recall_at_k(*sides, k):
    return float((retrieval.rank(*sides).first_rank <= k).mean())


def at_angles(*degrees):
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


def test_a_gallery_of_four_ranked_by_hand():
    # Query 0 (a) at 0 degrees sees 10 (b), 20 (a), 30 (b), 40 (a): ranks 2, 4: (1/2 + 2/4) / 2.
    # Query 1 (b) at 90 degrees sees them reversed: ranks 2, 4: 1/2. Query 2 (b) at 12 degrees sees
    # them at distances 2, 8, 18, 28: ranks 1, 3: (1 + 2/3) / 2 = 5/6.
    query, query_label = at_angles(0, 90, 12), ["a", "b", "b"]
    gallery, gallery_label = at_angles(10, 20, 30, 40), ["b", "a", "b", "a"]
    sides = query, gallery, query_label, gallery_label
    ranking = retrieval.rank(*sides)
    np.testing.assert_allclose(ranking.average_precision, [1 / 2, 1 / 2, 5 / 6], atol=1e-12)
    np.testing.assert_array_equal(ranking.first_rank, [2, 2, 1])
    assert mean_average_precision(*sides) == pytest.approx((1 / 2 + 1 / 2 + 5 / 6) / 3)
    assert recall_at_k(*sides, k=1) == pytest.approx(1 / 3)
    assert recall_at_k(*sides, k=2) == 1.0


def test_norms_do_not_matter_for_the_score_is_the_cosine():
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(9, 5)), rng.normal(size=(30, 5))
    labels = rng.integers(3, size=9), rng.integers(3, size=30)
    scaled = query * rng.uniform(0.1, 9, (9, 1)), gallery * rng.uniform(0.1, 9, (30, 1))
    expected = mean_average_precision(query, gallery, *labels)
    assert mean_average_precision(*scaled, *labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("small_integers", [False, True], ids=["no ties", "many ties"])
def test_it_equals_the_naive_loop(small_integers):
    rng = np.random.default_rng(3)
    for _ in range(5):
        query, gallery = rng.normal(size=(23, 4)), rng.normal(size=(57, 4))
        if small_integers:
            query, gallery = (rng.integers(-1, 2, size=x.shape) for x in (query, gallery))
        labels = (
            rng.integers(6, size=23),
            rng.integers(5, size=57),
        )  # identity 5 has nothing to find
        ranking = retrieval.rank(query, gallery, *labels)
        average_precision, first_rank = naive(query, gallery, *labels)
        np.testing.assert_allclose(ranking.average_precision, average_precision, atol=1e-12)
        np.testing.assert_array_equal(ranking.first_rank, first_rank)


def test_scores_that_float32_products_cannot_tell_apart_are_ranked():
    # All cosines lie within 2e-5 of one another, 330 steps of 2^-24, and the float32 product of a
    # pair is wrong by several: ties and neighbours are those of float64, over parts of the columns.
    rng = np.random.default_rng(11)
    query, gallery = (1 + 0.003 * rng.normal(size=(n, 128)) for n in (40, 1500))
    labels = rng.integers(7, size=40), rng.integers(7, size=1500)
    score = np.rint(retrieval.normalize(query) @ retrieval.normalize(gallery).T * 2.0**24)
    assert score.max() - score.min() < 330
    ranking = retrieval.rank(query, gallery, *labels)
    for row, identity, *found in zip(score, labels[0], *ranking[:2]):
        right = labels[1] == identity
        ahead = np.array([(row[~right] >= s).sum() for s in sorted(row[right], reverse=True)])
        place = np.arange(1, right.sum() + 1)
        np.testing.assert_allclose(found[0], np.mean(place / (place + ahead)), atol=1e-14)
        assert found[1] == 1 + ahead[0]


def test_average_precision_of_the_worked_ranking():
    # Right items at ranks 1, 3, 6: (1/1 + 2/3 + 3/6) / 3 = 0.7222222 (spec 5, worked number 3).
    sides = at_angles(0), at_angles(10, 20, 30, 40, 50, 60), [1], [1, 0, 1, 0, 0, 1]
    assert mean_average_precision(*sides) == pytest.approx((1 + 2 / 3 + 3 / 6) / 3, abs=1e-12)


def test_the_place_in_a_gallery_of_equal_vectors_never_helps():
    # 37 copies of one vector: the relevant one ranks behind the other 36 wherever it is: AP = 1/37.
    vector = np.random.default_rng(5).normal(size=128)
    for place in (0, 1, 16, 35, 36):
        label = np.zeros(37, int)
        label[place] = 1
        value = mean_average_precision([vector], np.tile(vector, (37, 1)), [1], label)
        assert value == pytest.approx(1 / 37, abs=1e-15)


def test_a_query_without_a_relevant_item_counts_zero():
    # Wherever its identity stands among those of the gallery.
    for nobody in ("0", "aa", "nobody"):
        sides = at_angles(0, 0, 10), at_angles(0, 10), ["a", nobody, "b"], ["a", "b"]
        ranking = retrieval.rank(*sides)
        np.testing.assert_array_equal(ranking.average_precision, [1, 0, 1])
        np.testing.assert_array_equal(ranking.first_rank, [1, np.inf, 1])


def test_a_gallery_of_one_identity_is_all_right():
    sides = at_angles(0, 50), at_angles(0, 10), ["a", "a"], ["a", "a"]
    assert mean_average_precision(*sides) == 1.0


def test_blocks_change_neither_result_nor_order(monkeypatch):
    rng = np.random.default_rng(6)
    sides = rng.normal(size=(50, 6)), rng.normal(size=(31, 6)), rng.integers(4, size=50)
    gallery_label = rng.integers(4, size=31)
    whole = retrieval.rank(*sides, gallery_label)
    for scores in (1, 31 * 7):
        monkeypatch.setattr(retrieval, "_BLOCK_SCORES", scores)
        blocks = retrieval.rank(*sides, gallery_label)
        np.testing.assert_array_equal(blocks.average_precision, whole.average_precision)
        np.testing.assert_array_equal(blocks.first_rank, whole.first_rank)


def test_memory_is_a_block_and_not_the_matrix_of_all_scores(monkeypatch):
    rng = np.random.default_rng(7)
    query, gallery = rng.normal(size=(2000, 4)), rng.normal(size=(2000, 4))
    label = rng.integers(20, size=2000)
    monkeypatch.setattr(retrieval, "_BLOCK_SCORES", 2**16)
    tracemalloc.start()
    retrieval.rank(query, gallery, label, label)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6  # all 4,000,000 float32 scores are 16 MB, one block with its copy is 0.8 MB


def test_chance_of_a_gallery_by_hand():
    # G = 4. R = 1: recall@2 = 2/4 and AP = mean of 1, 1/2, 1/3, 1/4 = 25/48. R = 2: recall@2 =
    # 1 - C(2,2)/C(4,2) = 5/6; the six pairs of ranks 12 13 14 23 24 34 have AP 1, 5/6, 3/4, 7/12,
    # 1/2, 5/12, mean 49/72. R = 0: 0 and 0.
    ranking = retrieval.Ranking(np.zeros(3), np.ones(3), np.array([1, 2, 0]), 4)
    chance = retrieval.chance_average_precision(ranking)
    np.testing.assert_allclose(chance, [25 / 48, 49 / 72, 0], atol=1e-12)
    np.testing.assert_allclose(retrieval.chance_recall_at_k(ranking, 2), [1 / 2, 5 / 6, 0])
    # More places than items: found for sure, unless there is nothing to find.
    np.testing.assert_allclose(retrieval.chance_recall_at_k(ranking, 9), [1, 1, 0])


def test_random_embeddings_reach_chance():
    rng = np.random.default_rng(8)
    label = np.repeat(np.arange(40), 20)
    ranking = retrieval.rank(rng.normal(size=(800, 32)), rng.normal(size=(800, 32)), label, label)
    expected = retrieval.chance_average_precision(ranking).mean()  # prevalence is 0.025, this 0.033
    assert ranking.average_precision.mean() == pytest.approx(expected, rel=0.08)
    hit = (ranking.first_rank <= 10).mean()
    assert hit == pytest.approx(retrieval.chance_recall_at_k(ranking, 10).mean(), abs=0.06)


@pytest.mark.parametrize(
    ("query", "gallery", "query_label", "gallery_label", "complaint"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), [0, 1], [0, 1], "must be"),
        (np.ones((2, 3)), np.ones((2, 3)), [0], [0, 1], "labels"),
        (np.ones((0, 3)), np.ones((2, 3)), [], [0, 1], "empty"),
        (np.full((1, 3), np.nan), np.ones((2, 3)), [0], [0, 1], "NaN"),
    ],
)
def test_wrong_shapes_and_nan_are_refused(query, gallery, query_label, gallery_label, complaint):
    with pytest.raises(ValueError, match=complaint):
        retrieval.rank(query, gallery, query_label, gallery_label)
