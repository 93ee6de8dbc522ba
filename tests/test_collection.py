"""Every test file is collected: a folder whose name pytest passes over would hide its tests."""

import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).parent


def test_every_test_file_on_disk_is_collected():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--override-ini=addopts="]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True)
    collected = {line.split("::")[0] for line in done.stdout.splitlines() if "::" in line}
    on_disk = {str(path.relative_to(TESTS.parent)) for path in TESTS.rglob("test_*.py")}
    assert collected == on_disk, done.stdout[-2000:] + done.stderr[-2000:]
