"""A short run of `make fuzz`: every reader but the costly ones, the cases of one seed."""

import pathlib
import random

import pytest

from tests.fuzz import child, mutations, readers

FOUND = pathlib.Path(__file__).parents[1] / "cases" / "fuzz"
CASES = {"JPEG": 25, "embed_jpeg": 15, "shard": 15, "checkpoint": 15, ".tflite": 15}


@pytest.mark.parametrize("name", [name for name in readers.READERS if name not in readers.COSTLY])
def test_damaged_files_are_read_or_refused_in_a_sentence(name, tmp_path):
    found = list(child.cases(name, 1, 0, CASES.get(name, 40), tmp_path))
    assert len(found) == CASES.get(name, 40)
    assert not [case for case in found if case[1]]


@pytest.mark.parametrize("path", sorted(FOUND.glob("*/*")), ids=lambda path: path.name)
def test_what_was_once_found_is_refused_in_a_sentence(path):
    its = readers.READERS[path.parent.name]
    with pytest.raises(its.refusals):
        its.read(path)


@pytest.mark.parametrize("mutation", mutations.MUTATIONS)
def test_a_mutation_comes_from_its_seed(mutation):
    content = bytes(range(256)) * 4
    found = [mutation(content, random.Random(seed)) for seed in (3, 3, 4, 5, 6)]
    assert found[0] == found[1] and len(set(found)) > 1
