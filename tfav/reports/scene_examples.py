"""What a page shows of a run that learns from audio and images of one moment."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfav.annotations import boxes as boxes_lib
from tfav.evaluation import localisation

DEAD_BELOW = 0.1  # of an even share, as the trainer counts dead clusters


class Scene(NamedTuple):
    """An image and its audio.

    Attributes:
      id: Id of the row.
      label: Label of the row.
      image: [S, S, 3] uint8.
      heat: [H, W], where the sound comes from.
      boxes: in fractions of the image; none where nobody marked it.
      audio: [T] float32 in [-1, 1], 16 kHz.
    """

    id: str
    label: str
    image: np.ndarray
    heat: np.ndarray
    boxes: Sequence[boxes_lib.Box]
    audio: np.ndarray

    @property
    def hit(self) -> bool | None:
        """Whether the maximum of the map lies inside a box; None where nobody marked one."""
        return is_hit(self.heat, self.boxes)


class Scenes(NamedTuple):
    """Some rows of a split, and how many there are.

    Attributes:
      shown: the rows to show.
      num_hits: Marked rows of the split whose maximum lies inside a box.
      num_marked: all marked rows of the split.
    """

    shown: Sequence[Scene]
    num_hits: int = 0
    num_marked: int = 0


class Example(NamedTuple):
    """A row that uses a cluster.

    Attributes:
      id: Id of the row.
      label: Label of the row.
      image: [S, S, 3] uint8.
      heat: [H, W] in [0, 1], what each place has of the cluster; None where audio has it.
      audio: [T] float32 in [-1, 1], 16 kHz; None where an image has it.
      strongest: the greatest assignment of a position to the cluster.
      share: the mean assignment.
    """

    id: str
    label: str
    image: np.ndarray
    heat: np.ndarray | None
    audio: np.ndarray | None
    strongest: float
    share: float


class Clusters(NamedTuple):
    """The clusters of one modality.

    Attributes:
      usage: [K], the share of all positions that each has; sums to 1.
      examples: Rows that use each cluster most, best first.
    """

    usage: np.ndarray
    examples: Sequence[Sequence[Example]]

    @property
    def dead(self) -> np.ndarray:
        """[K] bool: which have less than a tenth of an even share."""
        return self.usage < DEAD_BELOW / len(self.usage)


def is_hit(heat: np.ndarray, boxes: Sequence[boxes_lib.Box]) -> bool | None:
    """Says whether the maximum of a map [H, W] lies inside a box; None without a box."""
    return localisation.points_inside(heat, localisation.union(boxes)) if boxes else None
