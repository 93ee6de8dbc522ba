"""Times calls against each other in turn, so that a machine whose speed drifts drifts for all."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
      work: what was done.
      size: how much of it, in words.
      ours_ms: milliseconds of our code, the median of the rounds.
      others_ms: name of a peer or floor to its milliseconds.
      ratios: name of a peer or floor to ours / its, the median of the ratios of each round.
      targets: name of a peer or floor to the largest ratio that is aimed at.
      notes: what a reader must know, such as bytes or kernels.
    """

    work: str
    size: str
    ours_ms: float
    others_ms: Mapping[str, float] = dataclasses.field(default_factory=dict)
    ratios: Mapping[str, float] = dataclasses.field(default_factory=dict)
    targets: Mapping[str, float] = dataclasses.field(default_factory=dict)
    notes: str = ""

    @property
    def behind(self) -> list[str]:
        """Returns the names of the peers whose target is missed."""
        return [name for name, most in self.targets.items() if self.ratios[name] > most]


@dataclasses.dataclass(frozen=True)
class Scale:
    """How the time of one piece of work grows with its size.

    Attributes:
      work: what was done.
      unit: what a size counts, such as `gallery items`.
      sizes: over two decades, rising.
      milliseconds: of each size, the median of the rounds.
      exponent: measured, see `exponent`.
      expected: the work's own.
      notes: what a reader must know.
    """

    work: str
    unit: str
    sizes: Sequence[int]
    milliseconds: Sequence[float]
    exponent: float
    expected: float
    notes: str = ""


def exponent(sizes: Sequence[int], milliseconds: Sequence[float]) -> float:
    """Returns p of the power law milliseconds = c sizes^p that fits best, in logarithms."""
    slope, _ = np.polyfit(np.log(sizes), np.log(milliseconds), 1)
    return float(slope)


def scale(
    work: str,
    unit: str,
    calls: Mapping[int, Callable[[], object]],
    expected: float,
    notes: str = "",
    **options: float,
) -> Scale:
    """Returns how the time of calls, by size, grows with it; see `rounds` for options."""
    times = rounds({str(size): call for size, call in calls.items()}, **options)
    sizes, milliseconds = list(calls), [statistics.median(found) for found in times.values()]
    measured = exponent(sizes, milliseconds)
    return Scale(work, unit, sizes, milliseconds, measured, expected, notes)


def rounds(
    calls: Mapping[str, Callable[[], object]], count: int = ROUNDS, least_seconds: float = 0.1
) -> dict[str, list[float]]:
    """Returns the milliseconds of one call of each, in every round.

    The first round is not counted: it compiles and fills caches.

    Args:
      calls: name to what is called; a call returns once its work is done.
      count: rounds that are counted.
      least_seconds: a call is repeated within its turn until that long has passed.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(count + 1):
        for name, call in calls.items():
            start, done = time.perf_counter(), 0
            while not done or time.perf_counter() - start < least_seconds:
                call()
                done += 1
            if turn:
                times[name].append((time.perf_counter() - start) / done * 1e3)
    return times


def row(
    work: str,
    size: str,
    ours: Callable[[], object],
    others: Mapping[str, Callable[[], object]],
    targets: Mapping[str, float] | None = None,
    notes: str = "",
    **options: float,
) -> Row:
    """Returns the line of one piece of work, timed against others; see `rounds` for options."""
    times = rounds({"ours": ours, **others}, **options)
    return row_of(work, size, times, targets, notes)


def row_of(
    work: str,
    size: str,
    times: Mapping[str, Sequence[float]],
    targets: Mapping[str, float] | None = None,
    notes: str = "",
) -> Row:
    """Returns the line of `times`: milliseconds of every round, of `ours` and of each other."""
    own, others = times["ours"], {name: found for name, found in times.items() if name != "ours"}
    return Row(
        work,
        size,
        statistics.median(own),
        {name: statistics.median(other) for name, other in others.items()},
        {n: statistics.median(a / b for a, b in zip(own, other)) for n, other in others.items()},
        dict(targets or {}),
        notes,
    )
