"""Every test file is collected: a folder whose name pytest passes over would hide its tests."""

import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).parent
# Also a file that skips as a whole, for an extra that is not there, has a report.
COLLECT = """
import pytest

class Reports:
    def pytest_collectreport(self, report):
        if report.nodeid.endswith(".py"):
            print("file", report.nodeid)

pytest.main(["--collect-only", "-q"], plugins=[Reports()])
"""


def test_every_test_file_on_disk_is_collected():
    command = [sys.executable, "-c", COLLECT]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    collected = {words[1] for words in lines if words[:1] == ["file"]}
    on_disk = {str(path.relative_to(TESTS.parent)) for path in TESTS.rglob("test_*.py")}
    assert collected == on_disk, done.stderr[-2000:]
