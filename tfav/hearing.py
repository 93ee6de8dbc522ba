"""How much of a clip is heard: the one definition behind "the embedding of a file".

It comes from a run's config, lies in every artefact, and is part of the id of the embedding space:
evaluation, `tfav-embed`, a server and a phone that hear otherwise have other embeddings.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfav import registry, tensors


@dataclasses.dataclass(frozen=True)
class Hearing:
    """What of a clip an encoder is given.

    The first `max_seconds` are heard, and a clip shorter than `min_seconds` repeats itself up to
    them. With `window_seconds`, what is left is cut into consecutive windows of that length, the
    last one shorter; the clip's embedding is the mean of their unit embeddings, weighted by their
    samples, at unit norm. The defaults are those of exports before there was a choice.

    Attributes:
      max_seconds: above 0.
      min_seconds: at most `max_seconds`; 0: no clip repeats itself.
      window_seconds: 0: a clip is heard whole.

    Raises:
      UserError: a value out of its range.
    """

    max_seconds: float = 10.0
    min_seconds: float = 0.0
    window_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.max_seconds < math.inf:
            raise registry.UserError(
                f"--config.eval.audio_seconds={self.max_seconds}: give how many seconds of a clip "
                "are heard, above 0."
            )
        if not 0 <= self.min_seconds <= self.max_seconds:
            raise registry.UserError(
                f"--config.eval.min_seconds={self.min_seconds:g}: clips would last at least that "
                f"long and at most audio_seconds={self.max_seconds:g}: lower the first or raise "
                "the second, neither below 0."
            )
        if not 0 <= self.window_seconds < math.inf:
            raise registry.UserError(
                f"--config.eval.window_seconds={self.window_seconds}: give the length of a window "
                "in seconds, or 0 to hear clips whole."
            )

        for field in ("window_seconds", "min_seconds"):
            seconds = getattr(self, field)
            if seconds and not _samples(seconds):
                raise registry.UserError(
                    f"--config.eval.{field}={seconds:g}: that is less than one sample, of which a "
                    f"second has {tensors.SAMPLE_RATE_HZ}: give more, or 0 for none."
                )

    @property
    def max_samples(self) -> int:
        """Returns the most samples that are heard."""
        return max(1, _samples(self.max_seconds))

    @property
    def min_samples(self) -> int:
        """Returns the samples up to which a shorter clip repeats itself."""
        return _samples(self.min_seconds)

    @property
    def window_samples(self) -> int:
        """Returns the samples of a window; 0: a clip is heard whole."""
        return _samples(self.window_seconds)

    def heard(self, clip: np.ndarray) -> np.ndarray:
        """Returns what of a clip [T] is heard, [T'].

        Raises:
          ValueError: a clip without samples, which has nothing to repeat.
        """
        if not len(clip):
            raise ValueError("a clip without samples")
        clip = clip[: self.max_samples]
        return np.resize(clip, self.min_samples) if len(clip) < self.min_samples else clip

    def windows(self, clip: np.ndarray) -> list[np.ndarray]:
        """Returns a clip [T] that is `heard` in its windows; without such, as it is."""
        size = self.window_samples or len(clip)
        return [clip[start : start + size] for start in range(0, len(clip), size)]

    def facts(self) -> dict[str, float]:
        """Returns it as JSON has it; see `from_facts`."""
        return dataclasses.asdict(self)


def from_facts(facts: Mapping[str, Any]) -> Hearing:
    """Returns the hearing that an artefact states.

    Raises:
      TypeError: not what `Hearing.facts` returns.
    """
    return Hearing(**{name: float(value) for name, value in facts.items()})


def mean(embeddings: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
    """Returns the embedding [D] of a clip: that of its windows [W, D], by their samples [W]."""
    total = (embeddings * num_samples.astype(np.float32)[:, np.newaxis]).sum(axis=0)
    return total / np.maximum(np.linalg.norm(total), np.float32(1e-12))


def _samples(seconds: float) -> int:
    return round(seconds * tensors.SAMPLE_RATE_HZ)
