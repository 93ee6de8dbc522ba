"""What a classifier confuses, and whether it is as sure as it should be, drawn and in words."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfav.evaluation import classification
from tfav.reports import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_CLASSES = 40  # in one plot; with more, those most often mistaken
_MAX_NUMBERED = 14  # with more classes the cells hold no counts


def confusion(matrix: np.ndarray, class_names: Sequence[str]) -> "Figure":
    """Returns a figure of a confusion matrix [C, C] (row: true class), shaded by row."""
    from matplotlib import colors

    shown = np.arange(len(matrix))
    title = f"{100 * np.trace(matrix) / max(matrix.sum(), 1):.1f} % right"
    if len(matrix) > _MAX_CLASSES:
        wrong = matrix.sum(axis=1) - np.diag(matrix)
        shown = np.sort(np.argsort(-wrong, kind="stable")[:_MAX_CLASSES])
        title += f"; the {_MAX_CLASSES} of {len(matrix)} classes with the most mistakes"
    share = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    share, count = share[np.ix_(shown, shown)], matrix[np.ix_(shown, shown)]
    size = len(shown)
    side = max(4.2, min(0.5, 9 / size) * size)
    drawn = drawing.canvas(side + 1.6, side + 0.8)
    axes = drawn.add_subplot(title=title)
    shows_rare = colors.PowerNorm(0.5, 0, 100)  # mistakes of a few percent
    image = axes.imshow(share, cmap="Blues", norm=shows_rare, interpolation="none")
    names = [drawing.label(class_names[int(i)]) for i in shown]
    axes.set_xticks(range(size), names, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(range(size), names)
    axes.tick_params(labelsize=9 if size <= 20 else 6.5, length=0)
    axes.set(xlabel="predicted", ylabel="true class")
    if size <= _MAX_NUMBERED:
        for i, j in zip(*np.nonzero(count)):
            color = "white" if share[i, j] > 35 else "black"
            axes.text(j, i, f"{count[i, j]}", ha="center", va="center", color=color, fontsize=8)
    drawn.colorbar(image, ax=axes, label="share of the true class (%)", shrink=0.8)
    return drawn


def describe(matrix: np.ndarray, class_names: Sequence[str]) -> str:
    """Returns in words what a confusion matrix [C, C] shows, for who cannot see it."""
    total, right = int(matrix.sum()), int(np.trace(matrix))
    wrong = matrix - np.diag(np.diag(matrix))
    text = f"{right:,} of {total:,} rows are right ({100 * right / max(total, 1):.1f} %)."
    worst = [i for i in np.argsort(-wrong, axis=None, kind="stable")[:5] if wrong.flat[i]]
    if worst:
        pairs = [divmod(int(i), len(matrix)) for i in worst]
        found = (
            f"{class_names[i]} taken for {class_names[j]} ({wrong[i, j]:,} of {matrix[i].sum():,})"
            for i, j in pairs
        )
        text += f" Most often mistaken: {'; '.join(found)}."
    return text


def reliability(
    bins: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], num: int
) -> "Figure":
    """Returns a figure with a reliability diagram of each direction.

    Args:
      bins: direction -> right [N] 0 or 1, confidence - right [N], bin of each row [N] int.
      num: how many bins, equally wide.
    """
    drawn = drawing.canvas(0.6 + 3.4 * len(bins), 4.0)
    grid = drawn.subplots(1, len(bins), squeeze=False, sharey=True)[0]
    edges = 100 * np.arange(num) / num
    for axes, (direction, (right, gap, bin_of)) in zip(grid, bins.items()):
        count = np.bincount(bin_of, minlength=num)
        used = count > 0
        share = 100 * np.bincount(bin_of, right, num)[used] / count[used]
        excess = 100 * np.bincount(bin_of, gap, num)[used] / count[used]
        box = {"align": "edge", "width": 100 / num, "edgecolor": "white", "linewidth": 0.5}
        axes.bar(edges[used], share, color="C0", alpha=0.6, label="accuracy", **box)
        style = {"color": "none", "edgecolor": "C3", "hatch": "////", "linewidth": 0.8}
        axes.bar(edges[used], excess, bottom=share, label="to confidence", **{**box, **style})
        axes.plot([0, 100], [0, 100], color="black", linewidth=1, linestyle="--", label="perfect")
        rows = 100 * np.repeat(count / count.sum(), 2)
        steps = np.append(np.repeat(edges, 2)[1:], 100)
        axes.plot(steps, rows, color="black", linewidth=1, label="share of rows")
        error = 100 * np.abs(np.bincount(bin_of, gap, num)).sum() / count.sum()
        axes.set(title=f"{drawing.label(direction)}: ECE {error:.1f} %", xlabel="confidence (%)")
        axes.set(xlim=(0, 100), ylim=(0, 100))
    grid[0].set_ylabel("%")
    handles, labels = grid[0].get_legend_handles_labels()
    columns = len(labels) if len(bins) > 1 else 2
    drawn.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    return drawn


def draw(
    logits: Mapping[str, np.ndarray],
    label: np.ndarray,
    class_names: Sequence[str],
    present: Mapping[str, np.ndarray] | None = None,
) -> dict:
    """Returns figures: `confusion` of the fused prediction, `reliability` of every direction.

    Arguments as those of `classification.evaluate`, which has checked them.
    """
    label = np.asarray(label)
    present = classification.presence(logits, present, len(label))
    shown = {d: np.flatnonzero(p) for d, p in present.items() if d in logits and p.any()}
    num_bins = classification.NUM_BINS
    bins = {
        d: classification.calibration(np.asarray(logits[d])[rows], label[rows], num_bins)
        for d, rows in shown.items()
    }
    first = classification.FUSED if classification.FUSED in shown else next(iter(shown))
    rows = shown[first]
    matrix = classification.confusion_matrix(np.asarray(logits[first])[rows], label[rows])
    return {
        "confusion": confusion(matrix, class_names),
        "reliability": reliability(bins, num_bins),
    }
