"""Law: two and four replicas take the steps of one, whatever the recipe, loss, head or state."""

import json

import pytest

from tests.training import matrix

# Rounding in float64; anything beyond is a mistake.
FIRST, TEN = 1e-10, 1e-9
# After ten steps in float32, relative: what a rounding of 6e-8 per sum grows to. Adam and its kin
# divide by the root of small second moments, which enlarges it.
FLOAT32 = {"sgd": 2e-6, "lookahead": 2e-6, "adam": 2e-5, "rectified_adam": 2e-5, "lamb": 2e-5}


@pytest.fixture(scope="module")
def apart(tmp_path_factory, forks):
    folder = tmp_path_factory.mktemp("matrix")
    text = folder / "matrix.txt"
    command = ["-m", "tests.training.matrix", str(folder / "apart.json")]
    process = forks.start(command, stdout=text, stderr=text)
    assert process.wait(timeout=600) == 0, text.read_text()[-3000:]
    return json.loads((folder / "apart.json").read_text())


@pytest.mark.parametrize("replicas", ["2", "4"])
@pytest.mark.parametrize("case", [*matrix.LINEAR, *matrix.WHOLE])
def test_the_first_step_is_that_of_one_replica(apart, case, replicas):
    assert apart[f"first: {case}"][replicas] <= FIRST


@pytest.mark.parametrize("replicas", ["2", "4"])
@pytest.mark.parametrize("case", matrix.LINEAR)
def test_ten_steps_end_where_those_of_one_replica_do(apart, case, replicas):
    assert apart[f"ten: {case}"][replicas] <= TEN


@pytest.mark.parametrize("replicas", ["2", "4"])
@pytest.mark.parametrize("optimizer", matrix.OPTIMIZERS)
def test_ten_steps_in_float32_stay_within_the_bound_of_the_optimizer(apart, optimizer, replicas):
    assert apart[f"float32: {optimizer}"][replicas] <= FLOAT32[optimizer]
