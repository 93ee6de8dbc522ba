"""A command that kills itself: victim.py SPEC.json BINARY FLAGS, for `tests.forked`.

SPEC.json holds `moments`, of which each has a name and `files`, a pattern of the paths whose
replacing, renaming or removing are events, or `call`, `MODULE:NAME` of a function whose beginning
and end are; `number`, which event of a moment kills (0: none); `delay`, seconds after that event;
and `count`, a file for the number of events of each moment.
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
    counted = {
        name: _watch(moment, Events(spec["number"], spec["delay"]))
        for name, moment in spec["moments"].items()
    }
    sys.argv = [str(BIN / f"{binary}.py"), *flags]
    sys.path.insert(0, str(BIN))
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        if "count" in spec:
            counts = {name: events.count for name, events in counted.items()}
            pathlib.Path(spec["count"]).write_text(json.dumps(counts), encoding="utf-8")


def _watch(moment: dict, events: Events) -> Events:
    """Has the events of a moment happen, and returns them."""
    if "files" in moment:
        form = re.compile(moment["files"])

        def concerns(*paths) -> bool:
            return any(form.search(os.fspath(p)) for p in paths if not isinstance(p, int))

        for name in ("replace", "rename", "remove"):
            setattr(os, name, events.around(getattr(os, name), concerns))
    else:
        module_name, _, path = moment["call"].partition(":")
        owner = importlib.import_module(module_name)
        *owners, name = path.split(".")
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, name, events.around(getattr(owner, name)))
    return events


if __name__ == "__main__":
    main(*sys.argv[1:])
