"""The same run gives the same numbers: again here to the last bit, on the other set to 1e-4."""

import json
import os
import subprocess
import sys

import pytest

import tfav
from tests import small
from tests.training import ten_steps
from tfav.training import environment


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproducible")
    small.write_dataset(str(folder / "data"))
    return folder


def _here(place, name, forks):
    output = place / name
    done = forks.start(["-m", ten_steps.__name__, place / "data", place / "weights.npz", output])
    assert done.done().code == 0, done.done().stderr[-3000:]
    return json.loads(output.read_text())


def test_ten_steps_are_the_same_twice_and_on_the_other_dependency_set(place, forks):
    first, second = (_here(place, name, forks) for name in ("first.json", "second.json"))
    assert len(first) == 10 and first == second
    assert first[0]["loss"] != first[-1]["loss"]
    other = os.environ.get("TFAV_OTHER_PYTHON")
    if not other:
        pytest.skip("TFAV_OTHER_PYTHON names no interpreter of the other dependency set")
    arguments = [place / "data", place / "weights.npz", place / "other.json"]
    command = [other, "-m", ten_steps.__name__, *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    for step, line in enumerate(json.loads((place / "other.json").read_text())):
        assert line == pytest.approx(first[step], rel=1e-4, abs=1e-4), step


def test_every_start_of_a_run_says_which_version_of_the_package_it_was():
    facts = environment.facts(step=0)
    assert facts["tfav"] == tfav.__version__ and facts["python"] == sys.version.split()[0]
