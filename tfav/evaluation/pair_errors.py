"""How often a threshold errs on pairs: of all of them, and of groups such as one gender."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tfav.evaluation import bootstrap, thresholds
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

FAR = Metric(
    "far",
    "false acceptances",
    digits=2,
    lower_is_better=True,
    short="FAR",
    definition="FAR is the share of wrong pairs whose score reaches the threshold that was chosen "
    "on val; of a group, of pairs both of whose items belong to it.",
    of_one_run=True,
)
FRR = Metric(
    "frr",
    "false rejections",
    digits=2,
    lower_is_better=True,
    short="FRR",
    definition="FRR is the share of right pairs whose score does not reach that threshold.",
    of_one_run=True,
)
METRICS = (FAR, FRR)


class Group(NamedTuple):
    """Pairs both of whose items hold one value of a column.

    Attributes:
      column: of the manifest, such as `gender`.
      value: such as `f`.
      some: [T] bool, which of the evaluated pairs.
    """

    column: str
    value: str
    some: np.ndarray


def stored(threshold: thresholds.Threshold, rates: thresholds.Rates) -> dict[str, Any]:
    """Returns a threshold as `decisions` has it."""
    found: dict[str, Any] = {"threshold": threshold.value}
    ends = {"interval": (threshold.low, threshold.high)}
    for name, drawn in (("far", rates.far_replicates), ("frr", rates.frr_replicates)):
        found[name] = getattr(rates, name)
        ends[f"{name}_interval"] = bootstrap.interval(drawn)
    return found | {name: list(pair) for name, pair in ends.items() if None not in pair}


def figures(
    evaluated: thresholds.Trials,
    rates: thresholds.Rates,
    threshold: float,
    some: np.ndarray | None,
    every: Mapping[str, Any],
    **fields: Any,
) -> list[results.Result]:
    """Returns FAR and FRR, each over the pairs of its kind; none where there are none."""
    of_kind = evaluated.label if some is None else evaluated.label[some]
    identity = evaluated.identity if some is None else evaluated.identity[some]
    each = (
        (FAR, rates.far, rates.far_replicates, ~of_kind),
        (FRR, rates.frr, rates.frr_replicates, of_kind),
    )
    return [
        results.measured(
            value,
            None,
            drawn,
            metric=metric,
            threshold=threshold,
            **{
                **every,
                "num_trials": int(np.count_nonzero(kind)),
                "num_identities": len(np.unique(identity[kind])),
                **fields,
            },
        )
        for metric, value, drawn, kind in each
        if value is not None
    ]


def of_group(
    evaluated: thresholds.Trials,
    group: Group,
    threshold: float,
    sampled: tuple[int, int],
    every: Mapping[str, Any],
) -> tuple[list[results.Result], list[str]]:
    """Returns FAR and FRR of a group, each where its pairs are enough, and sentences where not."""
    rates = thresholds.rates(evaluated, threshold, *sampled, group.some)
    name = f"{group.column} {group.value}"
    found = figures(
        *(evaluated, rates, threshold, group.some, every),
        direction=name,
        stratum=f"{group.column}={group.value}",
    )
    kept = [result for result in found if result.num_trials >= thresholds.MIN_PAIRS]
    if len(kept) == 2:
        return kept, []
    right = int(np.count_nonzero(group.some & evaluated.label))
    wrong = int(np.count_nonzero(group.some)) - right
    return kept, [
        f"{every['tag']}: {name} has {right:,} right and {wrong:,} wrong pairs; a rate is told "
        f"from {thresholds.MIN_PAIRS} on."
    ]
