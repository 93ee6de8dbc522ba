"""Every row of `DERIVED` keeps its promises."""

import numpy as np
import pytest

from tests.conformance import walk
from tests.media import test_motion as own_tests
from tfav.media import motion

KNOWN = [n for n in motion.DERIVED if any(t.startswith(f"test_{n}_") for t in vars(own_tests))]


def test_every_row_is_checked_by_hand():
    add = "write tests/media/test_motion.py::test_ROW_... that checks by hand what it draws."
    walk.check_complete(motion.DERIVED, KNOWN, "DERIVED", add)


@pytest.mark.parametrize("name", KNOWN)
def test_a_row_draws_a_picture_as_large_and_the_same_each_time(name):
    random = np.random.default_rng(0)
    this, after = random.integers(0, 256, (2, 20, 36, 3)).astype(np.uint8)
    kept = this.copy(), after.copy()
    first, second = (motion.DERIVED[name](this, after) for _ in range(2))
    assert first.shape == this.shape and first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal((this, after), kept)  # its inputs are left as they were
    still = motion.DERIVED[name](this, this)
    np.testing.assert_allclose(still.astype(int) - still[10, 18], 0, atol=2)  # all one colour
