"""How fast a training goes, and how long it will take."""


class Pace:
    """Counts calls of steps; the first one, which traces and compiles, says nothing of the rest.

    Attributes:
      is_new: whether the last call was the first that is measured.

    Args:
      batch_size: Examples of a step.
    """

    def __init__(self, batch_size: int):
        self._batch_size = batch_size
        self._calls = 0
        self._steps = 0
        self._seconds = 0.0
        self._waited: float | None = 0.0
        self.is_new = False

    def note(self, steps: int, seconds: float, waited: float | None) -> None:
        """Counts a call.

        Args:
          steps: Number of its steps.
          seconds: Time that it took.
          waited: Time of that in which the next batch was not there yet; None: unknown.
        """
        self._calls += 1
        self.is_new = self._calls == 2
        if self._calls > 1:
            self._steps += steps
            self._seconds += seconds
            if waited is None or self._waited is None:
                self._waited = None
            else:
                self._waited += min(waited, seconds)

    def steps_in(self, seconds: float) -> int | None:
        """Returns how many steps take so long, at least 1; None before a call was measured."""
        if not self._seconds:
            return None
        return max(1, int(seconds * self._steps / self._seconds))

    def words(self) -> dict[str, str]:
        """Returns what a progress bar says: examples per second and the share of waiting."""
        if not self._seconds:
            return {}
        told = {"examples/s": f"{self._steps * self._batch_size / self._seconds:.4g}"}
        if self._waited is not None:
            told["waiting_for_data"] = f"{100 * self._waited / self._seconds:.0f}%"
        return told

    def expectation(self, steps: int) -> str:
        """Returns a line on how long so many more steps take, without validation and saving."""
        rate = self._steps / self._seconds
        return (
            f"expected time: {duration(steps / rate)} for {steps} more steps of {rate:.3g} per "
            "second, and that of validation"
        )


def duration(seconds: float) -> str:
    """Returns a time in the two largest units that it has, such as `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
