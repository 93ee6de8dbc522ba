"""Is there a sounding object, and is it where the map says? Precision and recall by confidence.

Of Mo and Morgado (NeurIPS 2022): some images hold what sounds, in others nothing does (silence,
noise, or what is heard is not in view), and each map comes with a confidence. At a threshold d

    TP = images with a source, confidence >= d, cIoU >= 0.5
    FP = all other images with confidence >= d
    FN = images with a source, confidence < d

precision is TP / (TP + FP), recall is TP / (TP + FN), 0 where there is nothing to divide by. AP is
the area under precision, made falling, over recall, with every confidence as a threshold; max-F1 is
the greatest harmonic mean of both. Their code takes about two hundred of the thresholds, and of
max-F1 ten.
"""

import numpy as np
from numpy.typing import ArrayLike


class Detections:
    """Images by falling confidence; those of one confidence are accepted together.

    Args:
      confidence: [N].
      right: [N] bool, whether the map is right; only where a source is present.
      present: [N] bool, whether something in the image sounds.
    """

    def __init__(self, confidence: ArrayLike, right: ArrayLike, present: ArrayLike):
        confidence = np.asarray(confidence, np.float64)
        self._order = np.argsort(-confidence, kind="stable")
        ordered = confidence[self._order]
        self._last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
        self._right = np.asarray(right, bool)[self._order]
        self._present = np.asarray(present, bool)[self._order]

    def curve(self, drawn: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns precision and recall at each distinct confidence, falling, [R, P] each.

        Args:
          drawn: [R, N], how often each image counts in each of R resamples; None: once, R = 1.
        """
        once = np.ones((1, len(self._order))) if drawn is None else np.asarray(drawn, np.float64)
        weight = once[:, self._order]
        accepted, found, true = (
            np.cumsum(weight * kind, axis=1)[:, self._last]
            for kind in (1.0, self._present, self._right)
        )
        missed = (weight * self._present).sum(axis=1, keepdims=True) - found
        return _shares(true, accepted), _shares(true, true + missed)

    def average_precision(self, drawn: ArrayLike | None = None) -> np.ndarray:
        """Returns AP of each resample, [R]; see `curve`."""
        precision, recall = self.curve(drawn)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        return (np.diff(recall, axis=1, prepend=0.0) * best).sum(axis=1)

    def max_f1(self, drawn: ArrayLike | None = None) -> np.ndarray:
        """Returns max-F1 of each resample, [R]; see `curve`."""
        precision, recall = self.curve(drawn)
        return _shares(2 * precision * recall, precision + recall).max(axis=1)


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
