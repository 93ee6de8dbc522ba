"""A command that kills itself: victim.py SPEC.json BINARY FLAGS, for `tests.forked`.

SPEC.json holds `files`, a pattern of the paths whose replacing, renaming or removing are events, or
`call`, `MODULE:NAME` of a function whose beginning and end are; `number`, which event kills (0:
none, and the events are counted into `count`); and `delay`, seconds after that event.
"""

import importlib
import json
import os
import pathlib
import re
import runpy
import signal
import sys
import threading

BIN = pathlib.Path(__file__).parents[2] / "bin"


class Events:
    """Counts the events of a moment, and kills this process and its children at one of them."""

    def __init__(self, number: int, delay: float):
        self.count = 0
        self._number, self._delay = number, delay

    def happen(self) -> None:
        """Is called at each event."""
        self.count += 1
        if self.count == self._number:
            if self._delay:
                threading.Timer(self._delay, _kill).start()
            else:
                _kill()

    def around(self, function, concerns=lambda *arguments: True):
        """Returns the function with an event before and after it, where it concerns us."""

        def wrapped(*arguments, **more):
            ours = concerns(*arguments)
            if ours:
                self.happen()
            found = function(*arguments, **more)
            if ours:
                self.happen()
            return found

        return wrapped


def _kill() -> None:
    os.killpg(os.getpid(), signal.SIGKILL)


def main(spec_path: str, binary: str, *flags: str) -> None:
    """Runs `bin/BINARY.py FLAGS` and kills it where the specification says so."""
    os.setpgid(0, 0)  # a machine that goes down takes the children too
    with open(spec_path, encoding="utf-8") as file:
        spec = json.load(file)
    events = Events(spec.get("number", 0), spec.get("delay", 0.0))
    if "files" in spec:
        form = re.compile(spec["files"])

        def concerns(*paths) -> bool:
            return any(form.search(os.fspath(p)) for p in paths if not isinstance(p, int))

        for name in ("replace", "rename", "remove"):
            setattr(os, name, events.around(getattr(os, name), concerns))
    elif "call" in spec:
        module_name, _, path = spec["call"].partition(":")
        owner = importlib.import_module(module_name)
        *owners, name = path.split(".")
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, name, events.around(getattr(owner, name)))
    else:
        events.happen()
    sys.argv = [str(BIN / f"{binary}.py"), *flags]
    sys.path.insert(0, str(BIN))
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        if "count" in spec:
            pathlib.Path(spec["count"]).write_text(str(events.count), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
