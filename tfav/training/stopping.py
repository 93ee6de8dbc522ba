"""How a run is told to stop: SIGTERM, or Ctrl-C; and a second Ctrl-C, which waits for nothing."""

import contextlib
import os
import signal
import threading

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping(contextlib.AbstractContextManager):
    """Notes SIGTERM and Ctrl-C for the loop, which looks between two calls, saves and ends.

    A second Ctrl-C ends the process at once, with code 130: also in the middle of a call, where no
    Python handler runs; so a thread reads the signals as they arrive.

    Attributes:
      number: the signal that came first; 0: none.
    """

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> "Stopping":
        self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS}
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *failure: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._write)  # ends the watcher
        self._watcher.join()
        os.close(self._read)

    def _note(self, number: int, frame: object) -> None:
        del frame
        self.number = self.number or number

    def _watch(self) -> None:
        seen = 0
        while True:
            numbers = os.read(self._read, 64)
            if not numbers:
                return
            for _ in range(numbers.count(signal.SIGINT)):
                seen += 1
                if seen == 1:
                    text = "\ninterrupted: saving; once more stops at once without saving\n"
                    os.write(2, text.encode())
                else:
                    os.write(2, b"\ninterrupted\n")
                    os._exit(128 + signal.SIGINT)
