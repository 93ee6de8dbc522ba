"""A short run of `make hostile`, what it calls wrong, and the page that it fills."""

import pathlib

import numpy as np
import pytest

from tests.forked import Done
from tests.hostile import (
    OUTCOMES,
    REFUSAL,
    RIGHT,
    SENTENCE,
    SILENT,
    TRACEBACK,
    Attempt,
    __main__,
    damage,
    destinations,
    place,
)
from tfav.media import limits

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reliability.md"


def test_bad_files_manifests_and_runs_end_in_what_is_right_or_in_a_sentence(tmp_path, forks):
    found = __main__.run(tmp_path, forks, seed=0, per_kind=1, short=True)
    assert len(found) > 80
    wrong = [one for one in found if one.outcome in (TRACEBACK, SILENT)]
    assert not wrong, wrong
    assert {RIGHT, SENTENCE, REFUSAL} == {one.outcome for one in found}


def test_every_command_is_a_door_of_destinations_or_writes_nothing():
    bin_ = pathlib.Path(__file__).parents[2] / "bin"
    commands = {path.stem for path in bin_.glob("*.py") if "def run() ->" in path.read_text()}
    doors = {door.command for door in destinations.DOORS.values()}
    assert doors | set(destinations.WRITES_NOTHING) == commands


TRACE = "Traceback (most recent call last):\n  File\nValueError: x\n"
WARNED = "W1128 09:45:27.041315 140657572227968 formats.py:126] 6 files left out\n"


@pytest.mark.parametrize(
    ("done", "value", "outcome"),
    [
        (Done(0, "", ""), 1.0, RIGHT),
        (Done(0, "", ""), 2.0, SILENT),
        (Done(0, "", WARNED), 2.0, REFUSAL),
        (Done(0, "", WARNED.replace("6 files", "usual")), 2.0, SILENT),
        (Done(2, "", "error: x: correct it.\n"), 2.0, SENTENCE),
        (Done(2, "", "error: x\nerror: y\n"), 2.0, TRACEBACK),
        (Done(2, "", TRACE + "error: x\n"), 2.0, TRACEBACK),
        (Done(1, "", TRACE), 2.0, TRACEBACK),
        (Done(-9, "", ""), 2.0, TRACEBACK),
    ],
)
def test_an_end_is_told_from_others(done, value, outcome):
    arrays = ({"x": np.array([value])}, {"x": np.array([1.0])})
    assert place.compared(done, *arrays, {"usual left out"})[0] == outcome


def test_other_names_or_shapes_are_other_results():
    one = {"x": np.zeros(2)}
    assert place.same({"x": np.zeros(2)}, one)
    for other in ({}, {"y": np.zeros(2)}, {"x": np.zeros(3)}, None, {"x": np.array(["a", "b"])}):
        assert not place.same(other, one)


@pytest.mark.parametrize("change", [d for d in damage.OF_STATE if d is not damage.gone])
def test_what_is_drawn_comes_from_the_seed_and_damages(change):
    content = bytes(range(1, 256)) * 9
    found = [change(content, place.draw_of(seed, "kind", 3)) for seed in (0, 0)]
    assert found[0] == found[1] != content


def test_the_table_counts_each_outcome():
    found = [Attempt("k", "eval", "x", outcome, "") for outcome in (RIGHT, RIGHT, SENTENCE)]
    lines = __main__.table(found).splitlines()
    assert lines[0].split("|")[4:-1] == [f" {outcome} " for outcome in OUTCOMES]
    assert lines[2] == "| k | eval | 3 | 2 | 1 | 0 | 0 | 0 |"
    assert lines[3] == "| all | | 3 | 2 | 1 | 0 | 0 | 0 |"


def test_the_page_has_the_limits_as_they_are_and_a_run_without_a_wrong():
    text = PAGE.read_text()
    for name, field in limits.Limits.__dataclass_fields__.items():
        row = f"| `--{name}` | {field.default:,} | {field.metadata['help']} |"
        assert row in text, row
    total = next(line for line in text.splitlines() if line.startswith("| all |"))
    assert total.endswith("| 0 | 0 |")
