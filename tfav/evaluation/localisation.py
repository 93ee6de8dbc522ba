"""Where a sound comes from: maps over the image against annotators' boxes.

Boxes are (left, top, right, bottom) in fractions of the image. As in the test of Flickr-SoundNet,
what two annotators mark counts fully and what one of three marks counts half; a single annotator
(synthetic scenes) counts fully.
"""

from collections.abc import Sequence

import numpy as np

from tfav import registry
from tfav.annotations import boxes as boxes_lib
from tfav.evaluation import bootstrap
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "localisation"
POINTING = Metric("pointing", "maximum inside a box")
CIOU = Metric(
    "ciou",
    "cIoU of 0.5 or more",
    definition="cIoU is the overlap of what a map says and what annotators marked, over their "
    "union; chance is that of a map that says everywhere.",
)
CIOU_AUC = Metric("ciou_auc", "area under cIoU")
METRICS = (POINTING, CIOU, CIOU_AUC)
SIZE = 224  # pixels of the grid that maps and boxes are compared on
THRESHOLDS = np.linspace(0.0, 1.0, 21)
BINARISE = ("half_maximum", "top_half")


def consensus(boxes: Sequence[boxes_lib.Box], size: int = SIZE) -> np.ndarray:
    """Returns [size, size] in [0, 1]: half the number of boxes over a pixel, at most 1.

    A single box counts 1.
    """
    total = np.zeros((size, size))
    for left, top, right, bottom in boxes:
        left, top, right, bottom = (round(size * x) for x in (left, top, right, bottom))
        total[top:bottom, left:right] += 1
    return np.minimum(1.0, total / 2) if len(boxes) > 1 else total


def upsample(grid: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Returns a map [H, W] at [size, size], bilinear between the centres of its cells."""
    grid = np.asarray(grid, np.float64)
    for axis in (0, 1):
        length = grid.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, length - 1)
        share = np.expand_dims(place - low, 1 - axis)
        grid = np.take(grid, low, axis) * (1 - share) + np.take(grid, high, axis) * share
    return grid


def normalize(heat: np.ndarray) -> np.ndarray:
    """Returns a map moved and scaled to [0, 1]; one that is the same everywhere becomes zero."""
    low, high = heat.min(), heat.max()
    return (heat - low) / (high - low) if high > low else np.zeros_like(heat)


def binarise(heat: np.ndarray, rule: str = "half_maximum") -> np.ndarray:
    """Returns where the sound is said to be, [size, size] bool.

    Args:
      heat: [size, size].
      rule: `half_maximum`: at least half way between least and greatest (Senocak et al.).
        `top_half`: the half of the pixels that score highest (Chen et al.).
    """
    if rule == "half_maximum":
        return normalize(heat) >= 0.5
    if rule == "top_half":
        return heat >= np.median(heat)
    raise registry.UserError(f"unknown rule {rule!r}: choose one of {', '.join(BINARISE)}.")


def consensus_iou(said: np.ndarray, truth: np.ndarray) -> float:
    """Returns cIoU: `sum(said g) / (sum g + sum said where g = 0)`.

    Args:
      said: [size, size] bool.
      truth: `consensus`, not all zero.
    """
    return float(truth[said].sum() / (truth.sum() + np.count_nonzero(said & (truth == 0))))


def points_inside(grid: np.ndarray, truth: np.ndarray) -> bool:
    """Says whether the greatest value of the upsampled map lies where someone marked something.

    A map that is the same everywhere points nowhere.
    """
    heat = upsample(grid, len(truth))
    if heat.max() == heat.min():
        return False
    return bool(truth.flat[int(np.argmax(heat))] > 0)


def evaluate(
    grids: Sequence[np.ndarray],
    boxes: Sequence[Sequence[boxes_lib.Box]],
    *,
    tag: str,
    rule: str = "half_maximum",
    num_bootstrap: int = 0,
    seed: int = 0,
) -> list[results.Result]:
    """Returns three figures of maps against boxes, with intervals over images.

    `pointing`: the share of maps with their maximum inside; its chance level is the mean share of
    the image that is marked. `ciou`: the share of images with cIoU of one half or more.
    `ciou_auc`: the area under that share over thresholds 0, 0.05, .. 1. The chance levels of the
    latter two are those of a map that says everywhere.

    Args:
      grids: Map [H', W'] of each image.
      boxes: Boxes of each image.
      tag: which part of the data, for the record.
      rule: Rule of `binarise`.
      num_bootstrap: resamples of images for the 95 % interval; 0 gives none.
      seed: Random seed of the resamples.
    """
    if not len(grids):
        raise registry.UserError(
            f"no image of {tag} has boxes, which localisation needs: give data with a column boxes."
        )
    truth = [consensus(b) for b in boxes]
    hits = np.array([points_inside(g, t) for g, t in zip(grids, truth)], np.float64)
    iou = np.array(
        [consensus_iou(binarise(upsample(g), rule), t) for g, t in zip(grids, truth)], np.float64
    )
    everywhere = np.array([consensus_iou(np.ones(t.shape, bool), t) for t in truth])
    chance = np.array([np.count_nonzero(t) / t.size for t in truth])
    figures = {
        POINTING: (hits, chance),
        CIOU: (iou >= 0.5, everywhere >= 0.5),
        CIOU_AUC: (_area(iou), _area(everywhere)),
    }
    image = np.arange(len(grids))
    return [
        results.measured(
            np.mean(value),
            np.mean(random),
            bootstrap.mean(value, image, num_bootstrap, seed),
            protocol=PROTOCOL,
            stratum=rule,
            metric=metric,
            direction="audio to image",
            tag=tag,
            num_trials=len(value),
            num_identities=len(value),
            resampled="images",
        )
        for metric, (value, random) in figures.items()
    ]


def _area(iou: np.ndarray) -> np.ndarray:
    """Returns [N]: each image's part of the trapezoid under success over thresholds.

    The area of the mean is the mean of the areas, so that an interval can resample images.
    """
    success = (iou[:, None] >= THRESHOLDS).astype(np.float64)
    return ((success[:, 1:] + success[:, :-1]) / 2 * np.diff(THRESHOLDS)).sum(axis=1)
