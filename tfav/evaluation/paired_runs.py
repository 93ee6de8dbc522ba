"""Two runs on the same trials: how far apart their figures are, with intervals over identities.

Both runs meet the same resamples (`bootstrap` draws by the number of identities and the seed), and
the interval is that of the difference in each: what both find hard moves both, and cancels.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tfav.evaluation import bootstrap
from tfav.evaluation.result import Result


class Difference(NamedTuple):
    """One figure of a run less the same figure of another.

    Attributes:
      result: Result of the run.
      base: Result of the other run.
      value: the difference.
      low: lower end of its 95 % interval; None where the figure has no interval.
      high: its upper end.
    """

    result: Result
    base: Result
    value: float
    low: float | None
    high: float | None

    @property
    def higher(self) -> int | None:
        """1 or -1 where the whole interval says more or less, 0 where it holds 0, None without.

        An interval that touches 0 holds it.
        """
        if self.low is None or self.high is None:
            return None
        return (self.low > 0) - (self.high < 0)

    @property
    def better(self) -> int | None:
        """As `higher`, 1 for better and -1 for worse; 0 where neither more nor less is better."""
        return None if self.higher is None else self.higher * self.result.metric.better

    def cell(self) -> str:
        """Returns the text form, such as `+1.2 [-0.3, 2.8]`, `+1.2` without an interval."""
        metric = self.result.metric
        return f"{metric.number(self.value, '+')} {metric.interval(self.low, self.high)}".rstrip()


def differences(results: Sequence[Result], base: Sequence[Result]) -> tuple[list[Difference], int]:
    """Returns the differences of the figures that two runs have over the same trials.

    Args:
      results: Results of a run, in the order wanted.
      base: Results of the other, by the same protocols on the same data, lists and seed.

    Returns:
      (differences, left_out): and how many figures both have over different trials, such as those
      of rows that one run cannot read.
    """
    known = {result.key: result for result in base}
    found, left_out = [], 0
    for result in results:
        other = known.get(result.key)
        if other is None:
            continue
        if _trials(result) != _trials(other):
            left_out += 1
            continue
        low, high = None, None
        if result.replicates is not None and other.replicates is not None:
            # Of unlike numbers of resamples, the first ones are the same.
            same = min(len(result.replicates), len(other.replicates))
            low, high = bootstrap.interval(result.replicates[:same] - other.replicates[:same])
        found.append(Difference(result, other, result.value - other.value, low, high))
    return found, left_out


def _trials(result: Result) -> tuple[int, int, str | None]:
    return result.num_trials, result.num_identities, result.sha256
