"""The nearest rows: those of a full sort, whatever the blocks, and what FAISS misses is said."""

import sys

import numpy as np
import pytest

from tfav import registry
from tfav.evaluation import neighbours, retrieval


def test_the_nearest_come_first_and_equals_in_the_order_of_the_gallery():
    # Cosines with (1, 0): 0.6, 1, -1, 1 (of another norm), 0.
    gallery = np.array([[0.6, 0.8], [1, 0], [-1, 0], [3, 0], [0, 1]], np.float32)
    found = neighbours.exact(np.array([[2.0, 0.0]]), gallery, 4)
    assert found.place.tolist() == [[1, 3, 0, 4]]
    np.testing.assert_allclose(found.score, [[1, 1, 0.6, 0]], atol=1e-7)
    assert found.score[0, 2] * 2**24 == round(0.6 * 2**24) and found.recall == 1.0
    # Of a gallery smaller than the count, all; negative cosines keep their order.
    found = neighbours.exact(np.array([[2.0, 0.0]]), gallery, 9)
    assert found.place.tolist() == [[1, 3, 0, 4, 2]] and found.score[0, 4] == -1


def test_the_scores_are_those_that_evaluation_ranks_by(monkeypatch):
    monkeypatch.setattr(neighbours, "_GALLERY_ROWS", 7)
    monkeypatch.setattr(neighbours, "_BLOCK_SCORES", 21)
    random = np.random.default_rng(0)
    query, gallery = random.normal(size=[11, 6]), random.normal(size=[40, 6])
    gallery[30:] = gallery[:10]  # ties across blocks
    units = [retrieval.normalize(x) for x in (query, gallery)]
    score = retrieval.rounded(units[0] @ units[1].T)
    order = np.argsort(-score, axis=1, kind="stable")[:, :9]
    found = neighbours.exact(query, gallery, 9)
    np.testing.assert_array_equal(found.place, order)
    np.testing.assert_array_equal(found.score, np.take_along_axis(score, order, 1))


def test_faiss_orders_what_it_finds_exactly_and_says_what_it_misses():
    pytest.importorskip("faiss")
    random = np.random.default_rng(1)
    gallery = random.normal(size=[3000, 8]).astype(np.float32)
    query = gallery[:50] + 0.05 * random.normal(size=[50, 8]).astype(np.float32)
    right = neighbours.exact(query, gallery, 5)
    found = neighbours.by_faiss(query, gallery, 5)
    hits = sum(len(set(a) & set(b)) for a, b in zip(found.place.tolist(), right.place.tolist()))
    assert found.recall == hits / 250 and 0.5 < found.recall <= 1
    assert (np.diff(found.score, axis=1) <= 0).all()
    # Of what both found, the same cosines.
    same = found.place[:, 0] == right.place[:, 0]
    np.testing.assert_array_equal(found.score[same, 0], right.score[same, 0])
    # Of few rows all are asked for, cells or not.
    few = neighbours.by_faiss(query[:2], gallery[:4], 10)
    np.testing.assert_array_equal(few.place, neighbours.exact(query[:2], gallery[:4], 10).place)


def test_without_faiss_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(registry.UserError, match=r"pip install 'tfav\[faiss\]', or .*=exact"):
        neighbours.by_faiss(np.ones([1, 2]), np.ones([3, 2]), 1)
