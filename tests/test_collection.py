"""Every test file is collected: a folder whose name pytest passes over would hide its tests."""

import pathlib

TESTS = pathlib.Path(__file__).parent
# A file stands for itself alone: which files there are hangs on settings, and on no module.
COLLECT = """
import pytest

class Alone(pytest.File):
    def collect(self):
        return []

class Found:
    def pytest_pycollect_makemodule(self, module_path, parent):
        return Alone.from_parent(parent, path=module_path)

    def pytest_collectreport(self, report):
        if report.nodeid.endswith(".py"):
            print("file", report.nodeid)

pytest.main(["--collect-only", "-q"], plugins=[Found()])
"""


def test_every_test_file_on_disk_is_collected(forks, tmp_path):
    (tmp_path / "collect.py").write_text(COLLECT)
    done = forks.start([tmp_path / "collect.py"]).done()
    lines = [line.split() for line in done.stdout.splitlines()]
    collected = {words[1] for words in lines if words[:1] == ["file"]}
    on_disk = {str(path.relative_to(TESTS.parent)) for path in TESTS.rglob("test_*.py")}
    assert collected == on_disk, done.stdout[-1000:] + done.stderr[-2000:]
