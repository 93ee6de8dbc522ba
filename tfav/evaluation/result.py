"""One measured figure: the record that every protocol returns and every table prints."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tfav.evaluation import bootstrap
from tfav.evaluation.metric import Metric

_TEXTS = ("protocol", "stratum", "direction", "tag")
_COUNTS = ("num_trials", "num_identities")


class Cells(NamedTuple):
    """The text form of a result: how every table, here or on a page, prints its parts.

    Attributes:
      value: such as `87.2`.
      interval: such as `[85.2, 88.2]`, empty without one: the metric's definition says why.
      chance: such as `50.00`, `-` without one.
      trials: such as `65,550`.
    """

    value: str
    interval: str
    chance: str
    trials: str

    @property
    def figure(self) -> str:
        """The value with its interval, if it has one."""
        return f"{self.value} {self.interval}".rstrip()


class Key(NamedTuple):
    """What two results share that answer the same question in two runs."""

    tag: str
    stratum: str
    protocol: str
    metric: str
    n: int | None
    direction: str


@dataclasses.dataclass(frozen=True)
class Result:
    """One measured figure.

    Attributes:
      protocol: what it was measured by, such as `matching` or `classification`.
      metric: what it is.
      direction: which way (`v2f`, `f2v`), or which modality or kind.
      tag: which part of the data: the last word of a query list's name, or a split.
      value: the figure.
      chance: what a model that knows nothing reaches; None where there is no such level.
      low: lower end of the 95 % bootstrap interval; None without one.
      high: its upper end.
      num_trials: how many trials, rows or probes it is over.
      num_identities: how many groups of them the interval resamples.
      stratum: which of them (`unrestricted`, `same_gender`).
      n: candidates of a 1:N matching; None for all else.
      list_name: file name of the list that asked; None without one.
      sha256: of that list.
      threshold: Score from which a pair is accepted, of an equal error rate.
      resampled: what the interval resamples, in the plural; empty where nobody said.
      notes: sentences on what was left out.
      details: what else belongs to it, JSON-able, such as the accuracy of each fold.
      replicates: [R] the figure in each bootstrap resample, NaN where it is not defined; None of a
        result that was read from a file.
    """

    protocol: str
    metric: Metric
    direction: str
    tag: str
    value: float
    chance: float | None
    low: float | None
    high: float | None
    num_trials: int
    num_identities: int
    stratum: str = "unrestricted"
    n: int | None = None
    list_name: str | None = None
    sha256: str | None = None
    threshold: float | None = None
    resampled: str = ""
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    replicates: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def key(self) -> Key:
        """What the same figure of another run shares with it."""
        place = self.tag, self.stratum, self.protocol
        return Key(*place, self.metric.key, self.n, self.direction)

    @property
    def name(self) -> str:
        """What a reader calls the figure."""
        return self.metric.called(self.n)

    @property
    def beats_chance(self) -> bool | None:
        """Whether the whole interval lies on the better side of chance; None if it cannot be said.

        An interval that touches chance does not beat it.
        """
        if self.chance is None or self.low is None or self.high is None or self.metric.neutral:
            return None
        return self.high < self.chance if self.metric.lower_is_better else self.low > self.chance

    def cells(self) -> Cells:
        """Returns the text form."""
        value, chance = self.metric.number(self.value), self.metric.chance(self.chance)
        interval = self.metric.interval(self.low, self.high)
        return Cells(value, interval, chance, f"{self.num_trials:,}")

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON form; what is empty is left out."""
        further: dict[str, Any] = {"threshold": self.threshold, "resampled": self.resampled}
        further |= {"notes": list(self.notes), **self.details}
        return {
            "protocol": self.protocol,
            "stratum": self.stratum,
            "direction": self.direction,
            "n": self.n,
            "tag": self.tag,
            "metric": self.metric.key,
            "value": self.value,
            "chance": self.chance,
            "low": self.low,
            "high": self.high,
            "num_trials": self.num_trials,
            "num_identities": self.num_identities,
            "list": self.list_name,
            "sha256": self.sha256,
            **{key: value for key, value in further.items() if value not in (None, "", [])},
        }


def measured(
    value: float, chance: float | None, replicates: np.ndarray | None, **fields: Any
) -> Result:
    """Returns a result with the 95 % interval of its resamples.

    Args:
      value: the figure.
      chance: its chance level, or None.
      replicates: [R] of `bootstrap`, or None for a figure that has no interval.
      **fields: all other fields of `Result`.
    """
    low, high = (None, None) if replicates is None else bootstrap.interval(replicates)
    return Result(
        value=float(value),
        chance=None if chance is None else float(chance),
        low=low,
        high=high,
        replicates=replicates,
        **fields,
    )


def from_json(entry: Any, metrics: Mapping[str, Mapping[str, Metric]]) -> Result:
    """Returns the result that `Result.to_json` gave.

    Args:
      entry: what JSON holds.
      metrics: protocol to key to metric; one that is not known is called by its key.

    Raises:
      ValueError: a field lacks or is of another kind; names it.
    """
    if not isinstance(entry, Mapping):
        raise ValueError("a result is no object")
    entry = dict(entry)
    fields = {name: _take(entry, name, str) for name in _TEXTS}
    fields |= {name: _take(entry, name, int) for name in _COUNTS}
    fields |= {name: _take(entry, name, float, None) for name in ("chance", "low", "high")}
    key, value = _take(entry, "metric", str), _take(entry, "value", float)
    of_protocol = metrics.get(fields["protocol"], {})
    return Result(
        metric=of_protocol.get(key) or Metric(key, key, unit="", digits=3),
        value=value,
        n=_take(entry, "n", int, None),
        list_name=_take(entry, "list", str, None),
        sha256=_take(entry, "sha256", str, None),
        threshold=_take(entry, "threshold", float, None),
        resampled=_take(entry, "resampled", str, None) or "",
        notes=tuple(_take(entry, "notes", list, None) or ()),
        details=entry,  # what is left
        **fields,
    )


_REQUIRED = object()


def _take(entry: dict[str, Any], name: str, kind: type, default: Any = _REQUIRED) -> Any:
    """Takes a field out of an entry, of the kind wanted; null stands for the default."""
    value = entry.pop(name, None)
    if value is None and default is not _REQUIRED:
        return default
    right = isinstance(value, (int, float) if kind is float else kind)
    if not right or isinstance(value, bool) or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{name} is {value!r}" if value is not None else f"there is no {name}")
    return value
