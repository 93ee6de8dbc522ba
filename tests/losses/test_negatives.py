"""The sums over negatives: by hand, and the same in any number of blocks."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import reference
from tests.conformance import replicas
from tfav.losses import alignment, bounds, negatives

LABELS = [np.array([3, 0, 7, 5, 1, 2, 9], np.int32), np.array([3, 0, 3, 5, 5, 3, 9], np.int32)]
LOSSES = {"explicit": alignment.explicit, "n_pair": alignment.n_pair}


def _inputs(rows=7, size=3, seed=0):
    return np.random.default_rng(seed).normal(size=(2, rows, size)).astype(np.float32)


def _blocks(monkeypatch, pairs, kept=0):
    monkeypatch.setattr(negatives, "BLOCK", pairs)
    monkeypatch.setattr(negatives, "KEPT", kept)
    monkeypatch.setattr(negatives, "LEAST_ROWS", 1)


def _value_and_gradients(loss, voice, face, label, num_rows=None):
    voice, face = tf.convert_to_tensor(voice), tf.convert_to_tensor(face)
    weight = tf.range(1.0, len(voice) + 1.0) if num_rows is None else 1.0
    with tf.GradientTape() as tape:
        tape.watch([voice, face])
        rows = loss(voice, face, tf.convert_to_tensor(label))
        value = tf.reduce_sum(weight * rows)
    return [rows, *tape.gradient(value, [voice, face])]


def test_the_sums_and_the_hardest_of_three_pairs_by_hand():
    # Rows (1, 0), (0, 1), (1, 1) and columns (1, 1), (0, 2), (3, 1) make the values
    # (1, 0, 3), (1, 2, 1), (2, 2, 4). Pairs 0 and 2 are one identity, so rows 0 and 2 have column 1
    # alone, row 1 has columns 0 and 2; columns 0 and 2 have row 1 alone, column 1 rows 0 and 2.
    # Rows see them by 1, 2, 1: 0; 2 and 2, so ln(2 e^2); 2. Columns see them by 1, 1, 3: 1; 0 and
    # 2, so ln(1 + e^2) = 2.1269280; 3.
    label = tf.constant([4, 8, 4])
    rows = negatives.Side(
        tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), tf.constant([1.0, 2.0, 1.0]), label
    )
    columns = negatives.Side(
        tf.constant([[1.0, 1.0], [0.0, 2.0], [3.0, 1.0]]), tf.constant([1.0, 1.0, 3.0]), label
    )
    by_row, by_column = negatives.log_sums(rows, columns)
    np.testing.assert_allclose(by_row, [0.0, 2.0 + math.log(2.0), 2.0], atol=1e-6)
    np.testing.assert_allclose(by_column, [1.0, 2.1269280, 3.0], atol=1e-6)
    by_row, by_column = negatives.hardest(rows, columns)
    np.testing.assert_array_equal(by_row, [0.0, 2.0, 2.0])
    np.testing.assert_array_equal(by_column, [1.0, 2.0, 3.0])


# Blocks of 1, 2 and 3 rows of 7, the last one smaller, and one of all rows.
@pytest.mark.parametrize("pairs", [1, 14, 21, 49])
@pytest.mark.parametrize("kept", [0, 49])
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", LOSSES)
def test_blocks_change_neither_the_value_nor_the_gradient(monkeypatch, name, label, kept, pairs):
    voice, face = 5 * _inputs()
    expected = _value_and_gradients(LOSSES[name], voice, face, label)
    _blocks(monkeypatch, pairs, kept)
    for run in (lambda f: f, tf.function):
        found = run(_value_and_gradients)(LOSSES[name], voice, face, label)
        for value, plain in zip(found, expected):
            np.testing.assert_allclose(value, plain, rtol=1e-5, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("kept", [0, 49])
def test_float64_stays_float64(monkeypatch, kept):
    voice, face = _inputs().astype(np.float64)
    _blocks(monkeypatch, 14, kept)
    _, *gradients = _value_and_gradients(
        lambda *x: tf.cast(alignment.explicit(*x), tf.float32), voice, face, LABELS[0]
    )
    exact = alignment.explicit(voice, face, LABELS[0])
    np.testing.assert_allclose(exact, reference.explicit(voice, face, LABELS[0]), rtol=1e-12)
    assert all(x.dtype == tf.float64 for x in (exact, *gradients))


@pytest.mark.parametrize("label", LABELS)
def test_blocks_change_the_hinge_by_nothing(monkeypatch, label):
    voice, face = _inputs()
    expected = bounds.explicit_hinge(voice, face, label)
    for pairs, kept in [(14, 0), (14, 49)]:
        _blocks(monkeypatch, pairs, kept)
        np.testing.assert_allclose(bounds.explicit_hinge(voice, face, label), expected, rtol=1e-6)


@pytest.mark.parametrize("kept", [0, 49])
def test_a_block_without_any_negative_adds_nothing(monkeypatch, kept):
    # Each block is one row; all but the last are of one identity.
    label = np.array([4, 4, 4, 4, 4, 4, 9], np.int32)
    voice, face = _inputs()
    expected = _value_and_gradients(alignment.explicit, 1e3 * voice, face, label)
    _blocks(monkeypatch, 1, kept)
    found = _value_and_gradients(alignment.explicit, 1e3 * voice, face, label)
    for value, plain in zip(found, expected):
        np.testing.assert_allclose(value, plain, rtol=1e-4, atol=1e-5 * np.abs(plain).max())
    # A single identity: ln m and an exact zero.
    alone = _value_and_gradients(alignment.explicit, voice, face, np.zeros(7, np.int32))
    np.testing.assert_allclose(alone[0], [math.log(5.4)] * 7, rtol=1e-6)
    for gradient in alone[1:]:
        np.testing.assert_array_equal(gradient, np.zeros([7, 3]))


@pytest.mark.parametrize("label", [x[:6] for x in LABELS])
def test_two_replicas_equal_one_in_blocks(monkeypatch, label, mirrored):
    voice, face = _inputs(6)
    expected = _value_and_gradients(alignment.explicit, voice, face, label, num_rows=6)
    _blocks(monkeypatch, 12)  # blocks of 2 of the 3 rows of a replica

    def step(*batch):
        return mirrored.run(
            lambda *x: _value_and_gradients(alignment.explicit, *x, num_rows=6), args=batch
        )

    halves = [replicas.halves(mirrored, x) for x in (voice, face, label)]
    for value, one in zip(tf.function(step)(*halves), expected):
        np.testing.assert_allclose(replicas.joined(mirrored, value), one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kept", [True, False])
def test_products_are_made_by_blocks_and_made_again_where_they_are_not_kept(monkeypatch, kept):
    _blocks(monkeypatch, 14, 49 if kept else 0)
    made, values = [], negatives._values

    def recorded(*sides):
        found = values(*sides)
        made.append(found.shape)
        return found

    monkeypatch.setattr(negatives, "_values", recorded)
    for least, once in [(1, [(2, 7), (2, 7), (2, 7), (1, 7)]), (4, [(4, 7), (3, 7)])]:
        monkeypatch.setattr(negatives, "LEAST_ROWS", least)
        made.clear()
        _value_and_gradients(alignment.explicit, *_inputs(), LABELS[0])
        assert made == (once if kept else 2 * once)
