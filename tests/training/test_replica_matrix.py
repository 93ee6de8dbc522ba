"""Law: several replicas take the steps of one, whatever the recipe, loss, head or state."""

import numpy as np
import pytest

from tests.training import matrix

# Rounding in float64; anything beyond is a mistake.
FIRST, TEN = 1e-10, 1e-9
# After ten steps in float32, relative: what a rounding of 6e-8 per sum grows to. Adam and its kin
# divide by the root of small second moments, which enlarges it.
FLOAT32 = {"sgd": 2e-6, "lookahead": 2e-6, "adam": 2e-5, "rectified_adam": 2e-5, "lamb": 2e-5}


@pytest.fixture(scope="module")
def steps(tmp_path_factory, forks):
    """Number of replicas to the arrays of `matrix`."""
    folder = tmp_path_factory.mktemp("matrix")
    found = {}
    for number in matrix.REPLICAS:
        text, path = folder / f"{number}.txt", folder / f"{number}.npz"
        command = ["-m", "tests.training.matrix", number, path]
        process = forks.start(command, stdout=text, stderr=text)
        assert process.wait(timeout=600) == 0, text.read_text()[-3000:]
        found[number] = dict(np.load(path))
    return found


def _apart(steps, case, replicas):
    """Returns the largest distance of arrays from those of one replica, relative to these.

    An array that is smaller than a thousandth of the largest counts as that large: what is almost
    zero is a difference of numbers that are not.
    """
    names = [name for name in steps[1] if name.startswith(f"{case}/")]
    one, several = ([np.float64(steps[n][name]) for name in names] for n in (1, replicas))
    sizes = [np.linalg.norm(x) for x in one]
    assert names and max(sizes) > 0
    least = 1e-3 * max(sizes)
    return max(np.linalg.norm(b - a) / max(s, least) for a, b, s in zip(one, several, sizes))


CASES = [(case, replicas) for case in matrix.LINEAR for replicas in matrix.REPLICAS[1:]]
CASES += [(case, 4) for case in matrix.WHOLE if matrix.OF_WHOLE]


@pytest.mark.parametrize("case, replicas", CASES)
def test_the_first_step_is_that_of_one_replica(steps, case, replicas):
    assert _apart(steps, f"first: {case}", replicas) <= FIRST


@pytest.mark.parametrize("replicas", matrix.REPLICAS[1:])
@pytest.mark.parametrize("case", matrix.TEN)
def test_ten_steps_end_where_those_of_one_replica_do(steps, case, replicas):
    assert _apart(steps, f"ten: {case}", replicas) <= TEN


@pytest.mark.parametrize("replicas", matrix.REPLICAS[1:])
@pytest.mark.parametrize("optimizer", matrix.OPTIMIZERS)
def test_ten_steps_in_float32_stay_within_the_bound_of_the_optimizer(steps, optimizer, replicas):
    assert _apart(steps, f"float32: {optimizer}", replicas) <= FLOAT32[optimizer]
