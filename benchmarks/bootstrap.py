"""Bootstrap intervals over identities at the official size, against a loop over resamples."""

from collections.abc import Callable

import numpy as np

from benchmarks import made_up, timing
from tfav.evaluation import bootstrap, metrics

RESAMPLES, SOME, FEW = 1_000, 200, 50  # the loop does the few
LOOP = "loop over resamples"
FIGURES: dict[str, tuple[Callable[..., np.ndarray], Callable[..., float]]] = {
    "AUC": (bootstrap.roc_auc, metrics.roc_auc),
    "EER": (bootstrap.equal_error_rate, metrics.equal_error_rate),
    "minDCF": (bootstrap.min_dcf, metrics.min_dcf),
}


def rows() -> list[timing.Row]:
    """Returns every figure with all resamples, and with few against the loop."""
    trials = made_up.trials(made_up.TRIALS, made_up.IDENTITIES)
    size = f"{made_up.TRIALS:,} trials, {made_up.IDENTITIES} identities"
    found = []
    for name, (ours, figure) in FIGURES.items():
        for number in (RESAMPLES, FEW):
            peers = {LOOP: _loop(figure, trials)} if number == FEW else {}
            found.append(
                timing.row(
                    f"bootstrap of {name}",
                    f"{number:,} resamples, {size}",
                    lambda ours=ours, number=number: ours(*trials, number, 0),
                    peers,
                    notes="" if peers else "aim: 1 s",
                )
            )
    value = trials.score, trials.identity
    found.append(
        timing.row(
            "bootstrap of a mean",
            f"{RESAMPLES:,} resamples, {size}",
            lambda: bootstrap.mean(*value, RESAMPLES, 0),
            {},
            notes="aim: 1 s",
        )
    )
    return found


def scales() -> list[timing.Scale]:
    """Returns how time grows with the identities, of 300 trials each, or with rows that are one."""
    trials = {size: made_up.trials(300 * size, size) for size in (20, 63, 200, 632, 2_000)}
    found = []
    for name, (ours, _) in FIGURES.items():
        calls = {n: lambda n=n, ours=ours: ours(*trials[n], SOME, 0) for n in trials}
        found.append(
            timing.scale(f"bootstrap of {name}, {SOME} resamples", "identities", calls, 1.0)
        )
    rows_alone = {size: np.arange(size) for size in (200, 632, 2_000, 6_325, 20_000)}
    calls = {n: lambda own=own: bootstrap.mean(own, own, SOME, 0) for n, own in rows_alone.items()}
    return [*found, timing.scale(f"bootstrap of a mean, {SOME} resamples", "rows", calls, 1.0)]


def _loop(figure: Callable[..., float], trials: made_up.Trials) -> Callable[[], list[float]]:
    """The straightforward form: the figure of the trials of each resample, repeated."""
    drawn = bootstrap.resample(int(trials.identity.max()) + 1, FEW, 0)

    def run() -> list[float]:
        taken = (np.repeat(np.arange(len(trials.label)), n[trials.identity]) for n in drawn)
        return [figure(trials.score[rows], trials.label[rows]) for rows in taken]

    return run
