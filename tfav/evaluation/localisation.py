"""Where a sound comes from: maps over the image against boxes of what sounds.

Boxes are (left, top, right, bottom) in fractions of the image. Those of several annotators are
votes on one source, as in the test of Flickr-SoundNet: what two of them mark counts fully, and what
one marks counts half. Those of several objects are each a source, as in VGG-SS: what lies in any of
them counts fully. In a negative nothing in the image sounds; `detection` says what is made of it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from tfav import registry
from tfav.annotations import boxes as boxes_lib
from tfav.evaluation import bootstrap, detection
from tfav.evaluation import result as results
from tfav.evaluation.metric import Metric

PROTOCOL = "localisation"
POINTING = Metric("pointing", "maximum inside a box")
CIOU = Metric(
    "ciou",
    "cIoU of 0.5 or more",
    definition="cIoU is the overlap of what a map says and what is marked, over their "
    "union; chance is that of a map that says everywhere.",
)
CIOU_AUC = Metric("ciou_auc", "area under cIoU")
AP = Metric(
    "ap",
    "localisation AP",
    definition="Localisation AP ranks maps by their confidence: a map is right where something in "
    "the image sounds and its cIoU is 0.5 or more; chance is that of maps that say everywhere, all "
    "equally sure.",
)
MAX_F1 = Metric("max_f1", "localisation max-F1")
METRICS = (POINTING, CIOU, CIOU_AUC, AP, MAX_F1)
DIRECTION = "audio to image"
SIZE = 224  # pixels of the grid that maps and boxes are compared on
THRESHOLDS = np.linspace(0.0, 1.0, 21)
BINARISE = THRESHOLD, TOP_HALF = ("threshold", "top_half")
ANY_NEGATIVE = "any negative"


def consensus(boxes: Sequence[boxes_lib.Box], size: int = SIZE) -> np.ndarray:
    """Returns [size, size] in [0, 1]: half the number of annotators' boxes over a pixel, at most 1.

    The official rule, also of a single annotator: what one marks counts half.
    """
    return np.minimum(1.0, _covered(boxes, size) / 2)


def union(boxes: Sequence[boxes_lib.Box], size: int = SIZE) -> np.ndarray:
    """Returns [size, size]: 1 where a box of any object covers a pixel, else 0."""
    return np.minimum(1.0, _covered(boxes, size))


# What boxes of a column mark together.
TRUTH = {boxes_lib.ANNOTATIONS: consensus, boxes_lib.OBJECTS: union}


def _covered(boxes: Sequence[boxes_lib.Box], size: int) -> np.ndarray:
    """Returns [size, size]: how many boxes cover each pixel; a box covers one at least."""
    total = np.zeros((size, size))
    for left, top, right, bottom in boxes:
        left, top = (min(round(size * x), size - 1) for x in (left, top))
        right, bottom = (round(size * x) for x in (right, bottom))
        total[top : max(bottom, top + 1), left : max(right, left + 1)] += 1
    return total


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


def binarise(heat: np.ndarray, rule: str = THRESHOLD) -> np.ndarray:
    """Returns where the sound is said to be, [size, size] bool.

    Args:
      heat: [size, size].
      rule: `threshold`: at least half way between least and greatest (Senocak et al.).
        `top_half`: the half of the pixels that score highest (Chen et al.).
    """
    if rule == THRESHOLD:
        return normalize(heat) >= 0.5
    if rule == TOP_HALF:
        return heat >= np.median(heat)
    raise registry.UserError(f"unknown rule {rule!r}: choose one of {', '.join(BINARISE)}.")


def consensus_iou(said: np.ndarray, truth: np.ndarray) -> float:
    """Returns cIoU: `sum(said g) / (sum g + sum said where g = 0)`.

    Args:
      said: [size, size] bool.
      truth: [size, size] of `TRUTH`, not all zero.
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
    truth: Callable[[Sequence[boxes_lib.Box]], np.ndarray] = union,
    rule: str = THRESHOLD,
    confidence: ArrayLike | None = None,
    absent: Sequence[str] = (),
    num_bootstrap: int = 0,
    seed: int = 0,
) -> list[results.Result]:
    """Returns figures of maps against what is marked, with intervals over images.

    Of images in which something sounds, `pointing`: the share of maps with their maximum inside;
    its chance level is the mean share of the image that is marked. `ciou`: the share of images with
    cIoU of one half or more. `ciou_auc`: the area under that share over thresholds 0, 0.05, .. 1.
    The chance levels of the latter two are those of a map that says everywhere.

    Where there are negatives and confidences, `ap` and `max_f1` of all images (`any negative`), and
    of each kind of negative beside all others with a source, if there are several kinds.

    Args:
      grids: Map [H', W'] of each image.
      boxes: Boxes of each image; of a negative none.
      tag: which part of the data, for the record.
      truth: what boxes mark together, one of `TRUTH`.
      rule: Rule of `binarise`.
      confidence: How sure each map is that something in its image sounds, in any unit; None: that
        is not known.
      absent: kind of each negative, empty where nobody said and of what is none.
      num_bootstrap: resamples of images for the 95 % interval; 0 gives none.
      seed: Random seed of the resamples.

    Raises:
      UserError: no image has boxes.
    """
    present = np.array([len(its) > 0 for its in boxes], bool)
    if not present.any():
        raise registry.UserError(
            f"no image of {tag} has boxes, which localisation needs: give data with a column "
            f"{' or '.join(boxes_lib.COLUMNS)}."
        )
    inside, marked, iou, everywhere = np.zeros((4, len(grids)))
    for place in np.flatnonzero(present).tolist():
        its = truth(boxes[place])
        inside[place] = points_inside(grids[place], its)
        marked[place] = np.count_nonzero(its) / its.size
        iou[place] = consensus_iou(binarise(upsample(grids[place]), rule), its)
        everywhere[place] = consensus_iou(np.ones(its.shape, bool), its)
    figures = {
        POINTING: (inside[present], marked[present]),
        CIOU: (iou[present] >= 0.5, everywhere[present] >= 0.5),
        CIOU_AUC: (_area(iou[present]), _area(everywhere[present])),
    }
    about = {"protocol": PROTOCOL, "stratum": rule, "tag": tag, "resampled": "images"}
    image = np.arange(np.count_nonzero(present))
    found = [
        results.measured(
            np.mean(value),
            np.mean(random),
            bootstrap.mean(value, image, num_bootstrap, seed),
            metric=metric,
            direction=DIRECTION,
            num_trials=len(value),
            num_identities=len(value),
            **about,
        )
        for metric, (value, random) in figures.items()
    ]
    if confidence is None or present.all():
        return found
    kinds = np.array([*absent] or [""] * len(grids))
    several = sorted(set(kinds[~present]))
    for kind in (ANY_NEGATIVE, *(several if len(several) > 1 else ())):
        taken = present | (kinds == kind) | (kind == ANY_NEGATIVE)
        right, chance = (x[taken] >= 0.5 for x in (iou, everywhere))
        sure = np.asarray(confidence)[taken]
        seen = detection.Detections(sure, right, present[taken])
        equally = detection.Detections(np.zeros(len(sure)), chance, present[taken])
        for metric, name in ((AP, "average_precision"), (MAX_F1, "max_f1")):
            figure = getattr(seen, name)
            found.append(
                results.measured(
                    figure()[0],
                    getattr(equally, name)()[0],
                    bootstrap.rows(figure, len(sure), num_bootstrap, seed),
                    metric=metric,
                    direction=kind or "other negatives",
                    num_trials=len(sure),
                    num_identities=len(sure),
                    **about,
                )
            )
    return found


def _area(iou: np.ndarray) -> np.ndarray:
    """Returns [N]: each image's part of the trapezoid under success over thresholds.

    The area of the mean is the mean of the areas, so that an interval can resample images.
    """
    success = (iou[:, None] >= THRESHOLDS).astype(np.float64)
    return ((success[:, 1:] + success[:, :-1]) / 2 * np.diff(THRESHOLDS)).sum(axis=1)
