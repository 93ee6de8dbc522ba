"""Verification and 1:N matching at the official size, pairs given as rows, against Python loops."""

from collections.abc import Callable

import numpy as np

from benchmarks import made_up, timing
from tfav.evaluation import cosines, metrics, retrieval

LOOP, FLOOR = "loop over trials", "bare gather"
AIM = "aim: 50 ms"


class Asked:
    """Trials of a probe and N candidates, the first of which is right where the trial is.

    Args:
      number: of trials.
      candidates: N.
    """

    def __init__(self, number: int, candidates: int):
        random = np.random.default_rng(3)
        self.probes = made_up.items(made_up.PROBES, made_up.IDENTITIES, 1)
        self.gallery = made_up.items(made_up.GALLERY, made_up.IDENTITIES, 2)
        self.units = [retrieval.normalize(x.vectors) for x in (self.probes, self.gallery)]
        self.probe = random.integers(made_up.PROBES, size=number)
        self.other = random.integers(made_up.GALLERY, size=(number, candidates))

    def verify(self) -> tuple[float, float]:
        """Returns AUC and equal error rate."""
        score = cosines.pairs(*self.units, self.probe, self.other)[:, 0]
        label = self.probes.identity[self.probe] == self.gallery.identity[self.other[:, 0]]
        return metrics.roc_auc(score, label), metrics.equal_error_rate(score, label)

    def match(self) -> float:
        """Returns the share of trials whose first candidate scores above all others."""
        score = cosines.pairs(*self.units, self.probe, self.other)
        return float(np.mean(score[:, 0] > score[:, 1:].max(axis=1)))

    def gather(self) -> None:
        """Copies the vectors that are compared, a block at a time."""
        size = max(1, 2**18 // (made_up.SIZE * self.other.shape[1]))
        for start in range(0, len(self.probe), size):
            np.take(self.units[0], self.probe[start : start + size], axis=0)
            np.take(self.units[1], self.other[start : start + size], axis=0)

    def verify_one_by_one(self) -> tuple[float, float]:
        """The straightforward form: a cosine at a time, then scikit-learn's ROC."""
        from sklearn import metrics as sklearn_metrics

        score, label = [], []
        for probe, (other,) in zip(self.probe, self.other):
            score.append(self._cosine(probe, other))
            label.append(self.probes.identity[probe] == self.gallery.identity[other])
        wrong, right, _ = sklearn_metrics.roc_curve(label, score)
        crossing = np.nanargmin(np.abs(1 - right - wrong))
        return sklearn_metrics.roc_auc_score(label, score), wrong[crossing]

    def match_one_by_one(self) -> float:
        """The straightforward form: the cosines of a trial at a time."""
        hits = 0
        for probe, others in zip(self.probe, self.other):
            score = [self._cosine(probe, other) for other in others]
            hits += score[0] > max(score[1:])
        return hits / len(self.probe)

    def _cosine(self, probe: int, other: int) -> float:
        one, two = self.probes.vectors[probe], self.gallery.vectors[other]
        return one @ two / (np.linalg.norm(one) * np.linalg.norm(two))


def rows() -> list[timing.Row]:
    """Returns verification, and matching of 2 to 10 candidates."""
    pairs = Asked(made_up.TRIALS, 1)
    calls: dict[str, Callable[[], object]] = {LOOP: pairs.verify_one_by_one, FLOOR: pairs.gather}
    size = f"{made_up.TRIALS:,} pairs"
    found = [timing.row("verification AUC and EER", size, pairs.verify, calls, notes=AIM)]
    for n in range(2, 11):
        asked = Asked(made_up.TRIALS, n)
        calls = {FLOOR: asked.gather}
        if n == 2:
            calls[LOOP] = asked.match_one_by_one
        size = f"{made_up.TRIALS:,} trials"
        found.append(timing.row(f"1:{n} matching", size, asked.match, calls, notes=AIM))
    return found


def scales() -> list[timing.Scale]:
    """Returns how time grows with the number of trials."""
    sizes = (5_000, 15_811, 50_000, 158_114, 500_000)
    return [
        timing.scale(
            "verification AUC and EER", "pairs", {n: Asked(n, 1).verify for n in sizes}, 1.0
        ),
        timing.scale("1:2 matching", "trials", {n: Asked(n, 2).match for n in sizes}, 1.0),
    ]
