"""A headless Chromium, driven through the DevTools protocol over its pipe: no further package."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

# The protocol lives on file descriptors 3 and 4 of the browser.
_LAUNCH = """
import fcntl, os, sys
inward, outward = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(inward, 3)
os.dup2(outward, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--remote-debugging-pipe",
)


def find() -> str | None:
    """Returns the browser on PATH, None without one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


class Browser:
    """One window, of a browser with further `flags`.

    `events` are the messages that no call asked for, oldest first.
    """

    def __init__(self, binary: str, timeout: float = 60.0, flags: Sequence[str] = ()):
        self._timeout, self._number, self._session = timeout, 0, None
        self.events: list[dict] = []
        self._left = b""
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        launch = [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), binary]
        self._process = subprocess.Popen(
            [*launch, *_FLAGS, *flags, f"--user-data-dir={self._folder.name}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        """Returns the result of a protocol method."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        packet = json.dumps(message).encode() + b"\0"
        while packet:
            packet = packet[os.write(self._out, packet) :]
        end = time.monotonic() + self._timeout
        while True:
            answer = self._receive(end)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _receive(self, end: float) -> dict:
        while b"\0" not in self._left:
            ready = select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]
            assert ready, f"Chromium did not answer within {self._timeout} s"
            part = os.read(self._in, 1 << 20)
            assert part, "Chromium ended"
            self._left += part
        packet, self._left = self._left.split(b"\0", 1)
        return json.loads(packet)

    def open(self, url: str) -> None:
        """Loads a page whole."""
        self.call("Page.navigate", url=url)
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(url)}")

    def run(self, script: str):
        """Returns the value of an expression in the page, awaited when it is a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Waits until an expression is true in the page."""
        end = time.monotonic() + self._timeout
        while not self.run(condition):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.05)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Presses and lets go of a key, as a user would."""
        about = {"key": key, "code": key if key.strip() else "Space", "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def click(self, element: str) -> None:
        """Clicks with the mouse on what an expression gives: sound needs a user who did that."""
        box = f"(e => (e.scrollIntoView({{block: 'center', behavior: 'instant'}}), e))({element})"
        x, y = self.run(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])({box}.getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            mouse = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", **mouse)

    def resize(self, width: int, height: int) -> None:
        """Gives the window a size in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def complaints(self) -> list[str]:
        """Returns what the page wrote to the console as an error or warning, or threw."""
        found = []
        for event in self.events:
            details, method = event.get("params", {}), event.get("method")
            if method == "Runtime.exceptionThrown":
                found.append(str(details["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning"):
                found.append(str(details["args"]))
            elif method == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
                found.append(str(details["entry"]))
        return found

    def requests(self) -> list[str]:
        """Returns the addresses the page asked for, those inside itself left out."""
        sent = [e["params"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        urls = [details["request"]["url"] for details in sent]
        return [url for url in urls if not url.startswith("data:")]

    def close(self) -> None:
        """Ends the browser and removes its profile."""
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(20)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(20)
        for fd in (self._in, self._out):
            os.close(fd)
        self._folder.cleanup()
