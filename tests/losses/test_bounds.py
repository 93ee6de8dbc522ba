"""The watched lines are those of the theory, on any number of replicas."""

import numpy as np
import pytest
import tensorflow as tf

from tfav import theory
from tfav.losses import alignment, bounds


def _batch(rows=6, classes=5, size=3, seed=0):
    rng = np.random.default_rng(seed)
    kernel, voice, face = (
        rng.standard_normal((n, size)).astype(np.float32) for n in (classes, rows, rows)
    )
    label = rng.integers(0, classes, rows).astype(np.int32)
    weight = rng.uniform(0, 2, rows).astype(np.float32)
    return kernel, voice, face, label, weight


def _classes(kernel):
    return tf.reduce_max(tf.norm(kernel, axis=1)), len(kernel)


# Fewer rows than classes, more of them, and so many that every class is there.
@pytest.mark.parametrize("rows, classes", [(6, 5), (3, 40), (60, 4), (1, 2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_floor_is_that_of_proposition_1_and_corollary_1(weighted, rows, classes):
    kernel, voice, face, label, weight = _batch(rows, classes)
    expected = theory.implicit_floor(kernel, face, voice, label, weight if weighted else None)
    found = bounds.implicit_floor(
        *_classes(kernel), voice, face, label, weight if weighted else None
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_hinge_by_hand():
    # Worked number (1), v -> x: v1 = (1, 0): 1 * 0 - 1 * 1 = -1; v2 = (0, 2): 0 - 2 = -2.
    # x1 = (2, 0): 0 - 2 = -2; x2 = (0, 1): 0 - 1 = -1. With m = 2: [-1 + 1]_+ = 0, [-2 + 1]_+ = 0;
    # with m = 3: v: 1, 0; x: 0, 1; mean of directions 0.5, 0.5.
    voice, face = np.array([[1.0, 0], [0, 2]], np.float32), np.array([[2.0, 0], [0, 1]], np.float32)
    label = np.array([0, 1], np.int32)
    np.testing.assert_allclose(bounds.explicit_hinge(voice, face, label, m=3.0), [0.5, 0.5])
    np.testing.assert_allclose(bounds.explicit_hinge(voice, face, label, m=2.0), [0.0, 0.0])


def test_hinge_and_loss_stay_as_near_as_the_theory_allows():
    _, voice, face, label, _ = _batch(rows=8, classes=8, seed=3)
    label = np.arange(8, dtype=np.int32)
    gap = np.abs(alignment.explicit(voice, face, label) - bounds.explicit_hinge(voice, face, label))
    assert (gap <= np.log(2) + max(4.4, np.log(7 + 4.4))).all()


def test_one_identity_has_no_hinge():
    voice = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(
        bounds.explicit_hinge(voice, voice, np.zeros(2, np.int32)), [0, 0]
    )


def test_two_replicas_watch_the_line_of_one(mirrored):
    kernel, voice, face, label, weight = (tf.constant(x) for x in _batch())

    @tf.function
    def step():
        def replica():
            first = 3 * tf.distribute.get_replica_context().replica_id_in_sync_group
            rows = slice(first, first + 3)
            part = voice[rows], face[rows], label[rows]
            floor = bounds.implicit_floor(*_classes(kernel), *part, weight[rows])
            return floor, bounds.explicit_hinge(*part)

        return mirrored.run(replica)

    floor, hinge = step()
    for share in mirrored.experimental_local_results(floor):
        np.testing.assert_allclose(
            share,
            bounds.implicit_floor(*_classes(kernel), voice, face, label, weight),
            rtol=1e-5,
        )
    both = np.concatenate([h.numpy() for h in mirrored.experimental_local_results(hinge)])
    np.testing.assert_allclose(both, bounds.explicit_hinge(voice, face, label), rtol=1e-5)
