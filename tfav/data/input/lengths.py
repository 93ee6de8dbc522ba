"""How much of a data set's sound is not heard: clips longer than what is read of them."""

from typing import NamedTuple

import numpy as np

from tfav import tensors
from tfav.data import shards


class Unheard(NamedTuple):
    """What is lost of clips that are longer than what is heard.

    Attributes:
      clips: how many are longer.
      of: how many there are.
      seconds: of the longer ones, those that are not heard.
      of_seconds: of all clips.
    """

    clips: int
    of: int
    seconds: float
    of_seconds: float

    def __str__(self) -> str:
        share = 100 * self.seconds / self.of_seconds if self.of_seconds else 0.0
        return (
            f"{self.clips} of {self.of} clips are longer, {self.seconds:.0f} of "
            f"{self.of_seconds:.0f} s ({share:.0f} %) are not heard"
        )


def unheard(index: shards.Index, max_seconds: float) -> Unheard:
    """Counts what lies beyond the first `max_seconds` of the clips in an index.

    Args:
      index: the rows; those without audio do not count.
      max_seconds: how much of each clip is heard.
    """
    seconds = index.num_samples[index.held("audio")] / tensors.SAMPLE_RATE_HZ
    beyond = np.maximum(seconds - max_seconds, 0.0)
    return Unheard(
        int(np.count_nonzero(beyond)), len(seconds), float(beyond.sum()), float(seconds.sum())
    )
