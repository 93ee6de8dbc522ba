"""A command that runs another: SIGTERM to the first alone ends both, once the second has saved."""

import signal
import subprocess
import sys

import pytest

from tfav.commands import child

# Says that it is there and, told to stop, what it saves; ends by itself when its stdin does.
TRAINING = """
import signal, sys
def save(number, frame):
    print("saved", flush=True)
    sys.exit(CODE)
signal.signal(signal.SIGTERM, save)
print("training", flush=True)
sys.stdin.read()
print("an orphan", flush=True)
"""
PARENT = """
import sys
from tfav.commands import child
print("ended with", child.run([sys.executable, "-c", sys.argv[1]]))
"""


@pytest.mark.parametrize("code", [143, 0])  # 0: it was done when the signal came
def test_sigterm_to_the_parent_alone_is_handed_on_and_waits(code):
    command = [sys.executable, "-c", PARENT, TRAINING.replace("CODE", str(code))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout.readline() == "training\n"
        parent.send_signal(signal.SIGTERM)
        try:
            ended = parent.wait(timeout=60)
        finally:
            said, _ = parent.communicate()
    assert (ended, said) == (143, "saved\n")


def test_a_command_that_ends_by_itself_gives_its_code_and_the_handler_back():
    before = signal.getsignal(signal.SIGTERM)
    assert child.run([sys.executable, "-c", "raise SystemExit(7)"]) == 7
    assert signal.getsignal(signal.SIGTERM) is before
