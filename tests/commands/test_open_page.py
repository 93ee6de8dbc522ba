"""A page is opened where a person sits, and where it was asked for; a browser stands in for one."""

import os
import pty
import subprocess
import sys
import webbrowser

import pytest

from tfav.commands import open_page

# The binary, whose steps are left out, on the terminal of this process.
_START = """
import sys
from tfav.commands import start
start.start = lambda *_, **__: iter(["made"])
start.record = lambda output: {"page": output + "/report.html"}
from tfav.bin import start as binary
binary.run()
"""


@pytest.fixture
def browser(tmp_path):
    """A program that notes the address it is to open; yields what it noted, and its environment."""
    noted, program = tmp_path / "noted", tmp_path / "browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {noted}\n')
    program.chmod(0o755)
    around = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return noted, {**around, "BROWSER": f"{program} %s"}


@pytest.mark.parametrize(
    ("terminal", "display", "flags", "opens"),
    [
        (True, ":0", [], True),
        (True, ":0", ["--quiet"], True),
        (True, "", [], False),
        (False, ":0", [], False),
        (True, ":0", ["--noopen"], False),
        (True, ":0", ["--json"], False),
        (False, "", ["--open"], True),
        (False, "", ["--open", "--json"], True),
    ],
)
def test_the_page_opens_by_itself_where_a_person_sees_it(
    browser, tmp_path, terminal, display, flags, opens
):
    noted, around = browser
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-c", _START, "--audio=v", "--image=f", f"--output={tmp_path}/o", *flags],
        env={**around, **({"DISPLAY": display} if display else {})},
        stdout=theirs if terminal else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    os.close(ours)
    assert ended.returncode == 0, ended.stderr
    assert noted.exists() == opens
    if opens:
        assert noted.read_text() == f"file://{tmp_path.resolve()}/o/report.html"


def test_a_browser_that_is_not_there_is_told_and_is_no_failure(monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda uri: uri == "file:///seen.html")
    assert open_page.open_page("file:///seen.html") == "opened file:///seen.html"
    told = "no browser could be started: open file:///else.html in one"
    assert open_page.open_page("file:///else.html") == told

    def fails(uri):
        raise webbrowser.Error("no runnable browser")

    monkeypatch.setattr(webbrowser, "open", fails)
    assert open_page.open_page("file:///else.html") == told
