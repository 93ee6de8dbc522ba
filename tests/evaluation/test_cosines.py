"""Cosines of pairs by their rows: the same as of the rows themselves, in parts or not."""

import numpy as np
import pytest

from tfav.evaluation import cosines, retrieval


def test_the_cosines_of_a_row_and_three_beside_it_by_hand():
    first, second = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([[0.0, 1.0], [0.8, 0.6]])
    found = cosines.pairs(first, second, np.array([1, 0]), np.array([[0, 1, 0], [1, 0, 1]]))
    # (0.6, 0.8) with (0, 1) is 0.8, with (0.8, 0.6) 0.96; (1, 0) with them is 0 and 0.8.
    np.testing.assert_allclose(found, [[0.8, 0.96, 0.8], [0.8, 0.0, 0.8]], atol=2**-24)


@pytest.mark.parametrize("numbers", [1, 1000, 2**17])
def test_parts_of_the_pairs_change_nothing_and_every_score_is_a_whole_number_of_steps(
    monkeypatch, numbers
):
    rng = np.random.default_rng(0)
    first, second = (retrieval.normalize(rng.normal(size=(n, 16))) for n in (30, 40))
    first_row, second_row = rng.integers(30, size=200), rng.integers(40, size=(200, 5))
    monkeypatch.setattr(cosines, "_BLOCK_NUMBERS", numbers)
    found = cosines.pairs(first, second, first_row, second_row)
    exact = (first[first_row][:, None] * second[second_row]).sum(axis=2)
    np.testing.assert_array_equal(found * 2.0**24, np.rint(exact * 2.0**24))
