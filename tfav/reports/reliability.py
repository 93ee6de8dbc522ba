"""Whether a probability can be believed, drawn: how often pairs of each are right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfav.evaluation import logistic, pair_calibration
from tfav.evaluation.result import Result
from tfav.reports import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADING = "Reliability of pairs"
MEANING = (
    f"Of the pairs in each of {logistic.NUM_BINS} bins of probability, the share that is right "
    "(blue), right and wrong pairs weighing the same in all; on the dashed diagonal the "
    "probability is what it says. The stepped line is the share of pairs."
)


def draw(results: Sequence[Result]) -> "Figure | None":
    """Returns the reliability diagram of one tag; None where nothing was calibrated.

    Args:
      results: Results of `pair_calibration.evaluate`.
    """
    found = [r for r in results if r.metric.key == pair_calibration.PAIR_ECE.key]
    if not found:
        return None
    bins = found[0].details[pair_calibration.RELIABILITY]
    edges, weight, right = (100 * np.array(bins[name]) for name in ("edges", "weight", "right"))
    probability = 100 * np.array(bins["probability"])
    width = 100 / logistic.NUM_BINS
    drawn = drawing.canvas(4.8, 4.4)
    axes = drawn.add_subplot()
    axes.bar(
        *(edges[:, 0], right, width),
        align="edge",
        color="C0",
        alpha=0.6,
        edgecolor="white",
        linewidth=0.5,
        label="share that is right",
    )
    axes.plot([0, 100], [0, 100], color="black", linewidth=1, linestyle="--", label="perfect")
    axes.plot(probability, right, color="C3", marker="o", markersize=4, label="mean of a bin")
    shares = np.zeros(logistic.NUM_BINS)
    shares[np.round(edges[:, 0] / width).astype(int)] = weight
    axes.stairs(shares, width * np.arange(logistic.NUM_BINS + 1), color="black", label="of pairs")
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="probability that a pair is right (%)")
    axes.set(ylabel="%", title=f"ECE {100 * found[0].value:.1f} %, {drawing.label(found[0].tag)}")
    drawn.legend(loc="outside lower center", ncols=2, frameon=False)
    return drawn


def describe(results: Sequence[Result]) -> str:
    """Returns in words what the diagram shows; empty where nothing was calibrated."""
    found = [r for r in results if r.metric.key == pair_calibration.PAIR_ECE.key]
    if not found:
        return ""
    bins = found[0].details[pair_calibration.RELIABILITY]
    gaps = np.array(bins["right"]) - bins["probability"]
    worst = int(np.argmax(np.abs(gaps)))
    low, high = (100 * edge for edge in bins["edges"][worst])
    return (
        f"{found[0].num_trials:,} pairs, calibration error {100 * found[0].value:.1f} %. Farthest "
        f"from the diagonal are the {bins['count'][worst]:,} pairs between {low:.0f} and "
        f"{high:.0f} %, of which {100 * bins['right'][worst]:.1f} % are right by weight."
    )
