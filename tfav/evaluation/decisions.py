"""What is decided of a pair, as it is stored: thresholds and the calibration of a score.

An export stores it in `parity.json`, in the facts of the SavedModel (`assets.extra/tfav.json`), in
the metadata `tfav` of each `.tflite` and in `golden.json`, everywhere under the name `decisions`:

    {"score": "cosine",
     "calibration": {"slope": 21.4, "intercept": -9.7, "prior": 0.5},
     "thresholds": {
       "eer": {"threshold": 0.44, "interval": [0.41, 0.47],
               "far": 0.08, "far_interval": [0.06, 0.1], "frr": 0.07, "frr_interval": [0.05, 0.1]},
       "far_0.1": {...}, "far_0.01": {...}, "far_0.001": {...}},
     "shipped": "eer",
     "left_out": {"far_0.001": "a sentence that says why"},
     "measured_on": {
       "recipe": "voice_face", "embedding_space": "0123456789abcdef",
       "data": "<SHA-256 by which the data set is known>", "seed": 0,
       "fitted": {"split": "val", "num_trials": 2500, "num_right": 50, "num_wrong": 2450,
                  "num_identities": 10},
       "evaluated": {"split": "test", ...}}}

`score` says of what: `cosine` of an audio and an image embedding, or `score` of the signature
`score_pairs`. A pair is taken for matched where its score >= `thresholds[shipped]["threshold"]`;
below it the answer is "not sure". Thresholds and calibration are fitted on the split `fitted`; the
rates `far` (wrong pairs accepted) and `frr` (right pairs refused) are those on `evaluated`.

The probability that a pair is right is 1 / (1 + exp(-(slope score + intercept))), where right pairs
are as likely as wrong ones (`prior`); where a share p of the pairs is right, ln(p / (1 - p)) is
added to the intercept. `calibration` is null where there is none, and an interval or a threshold
that could not be measured is left out; `left_out` says why. A file without `decisions` is of a
run that was not evaluated so, or of an older version.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

COSINE, SCORE = "cosine", "score"
MATCH, NOT_SURE = "match", "not sure"
MISSING = (
    "this model holds no calibration: evaluate its run with tfav-eval --protocols=calibration, on "
    "data with a split val, and export it again"
)
NO_SPACE = (
    "the modalities of this model share no space, so that there is no calibration of its cosines"
)


@dataclasses.dataclass(frozen=True)
class Decisions:
    """Thresholds and calibration, read.

    Attributes:
      score: of what, `cosine` or `score`.
      threshold: Score from which a pair is taken for matched; None without one.
      slope: of the calibration; None without one.
      intercept: likewise.
      content: all that was stored, see the module.
    """

    score: str
    threshold: float | None
    slope: float | None
    intercept: float | None
    content: Mapping[str, Any]

    def probability(self, scores: ArrayLike) -> np.ndarray | None:
        """Returns [...] float32, how likely pairs of such scores [...] are right; None: unknown."""
        if self.slope is None or self.intercept is None:
            return None
        return logistic(scores, self.slope, self.intercept).astype(np.float32)

    def matched(self, scores: ArrayLike) -> np.ndarray | None:
        """Returns [...] bool, whether scores [...] reach the threshold; None without one."""
        return None if self.threshold is None else np.asarray(scores) >= self.threshold

    @property
    def without(self) -> str:
        """Says why there is no probability; empty where there is one."""
        if self.slope is not None:
            return ""
        return str(self.content.get("left_out", {}).get("calibration", MISSING))


def of_cosines(
    its: Decisions | None, modalities: Sequence[str], shares_space: bool = True
) -> tuple[Decisions | None, str]:
    """Returns the decisions of two embeddings by their cosine, and why there is no probability.

    Args:
      its: of the model; None: it holds none.
      modalities: of the two, as far as they are known.
      shares_space: whether the modalities of the model do.

    Returns:
      (decisions, clause): None where they say nothing of these; empty where there is a probability.
    """
    if not shares_space:
        return None, NO_SPACE
    if its is None:
        return None, MISSING
    if its.score != COSINE:
        return None, f"the calibration of this model is of its {its.score}, not of cosines"
    if len(modalities) == 2 and len(set(modalities)) < 2:
        return None, f"the calibration is of audio with image, and both are {modalities[0]}"
    return its, its.without


def logistic(scores: ArrayLike, slope: float, intercept: float) -> np.ndarray:
    """Returns 1 / (1 + exp(-(slope scores + intercept))), [...] float64."""
    return (1.0 + np.tanh((slope * np.asarray(scores, np.float64) + intercept) / 2)) / 2


def stored(its: Decisions | None) -> dict[str, Any]:
    """Returns decisions as an entry of a file; nothing where there are none."""
    return {"decisions": dict(its.content)} if its else {}


def read(content: Mapping[str, Any], embedding_space: str) -> Decisions:
    """Returns stored decisions, once they are known to be of the model that they lie in.

    Args:
      content: as the module says.
      embedding_space: id of the space of that model.

    Raises:
      ValueError: they are of another space, or not whole.
    """
    try:
        space = content["measured_on"]["embedding_space"]
        shipped = content["thresholds"].get(content.get("shipped"))
        calibration = content["calibration"] or {}
        threshold, slope, intercept = (
            None if value is None else float(value)
            for value in (
                (shipped or {}).get("threshold"),
                calibration.get("slope"),
                calibration.get("intercept"),
            )
        )
        score = content["score"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its decisions are not whole ({error})") from error
    if space != embedding_space:
        raise ValueError(f"its thresholds are of the embedding space {space}")
    if not all(value is None or math.isfinite(value) for value in (threshold, slope, intercept)):
        raise ValueError("its thresholds or its calibration are no finite numbers")
    return Decisions(score, threshold, slope, intercept, content)
