"""Some rows of `make disk`: what was good stays, the sentence is one, the same command goes on."""

import pytest

from tests.disk import table


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> table.Disk:
    made = table.Disk(tmp_path_factory.mktemp("disks"))
    yield made
    made.server.close()


@pytest.mark.parametrize(
    ("command", "mode", "after", "sentence"),
    [
        ("train", "gone", 3_000, "Input/output error"),
        ("prepare", "readonly", 0, "Read-only file system"),
        ("embed", "gone", 0, "Input/output error"),
    ],
)
def test_what_was_good_stays_and_the_same_command_goes_on(disk, command, mode, after, sentence):
    found = disk.attempt(command, mode, after)
    assert not found.wrong
    assert sentence in found.said


def test_a_slow_disk_is_slow_alone(disk):
    assert not disk.attempt("embed", "slow", 0).wrong
