"""What a model of `tfav.load` answers: embeddings, matches, classes, scores of pairs."""

from typing import NamedTuple

import numpy as np


class Embeddings(NamedTuple):
    """Embeddings of items.

    Attributes:
      ids: modality to N names: a file's path below the folder that was given, or as it was given;
        of arrays `"0"`, `"1"` and so on.
      vectors: modality to [N, D] float32 of unit norm.
      embedding_space: id; embeddings of another id cannot be compared with these.
      unheard_seconds: path of each clip longer than what is heard to the seconds that are not.
      shares_space: whether those of two modalities can be compared; of a file of before it said so
        True.
    """

    ids: dict[str, list[str]]
    vectors: dict[str, np.ndarray]
    embedding_space: str
    unheard_seconds: dict[str, float]
    shares_space: bool = True


class Match(NamedTuple):
    """Probes against candidates.

    Attributes:
      scores: [P, N] float32 cosines.
      best: [P] int, the place of the candidate with the largest.
      probability: [P, N] float32, how likely a candidate is of the probe's identity, where one in
        two is; None where that is not known.
      matched: [P, N] bool, whether a cosine reaches the model's threshold: below it the answer is
        "not sure". None where there is none.
      why: why there is no probability; empty where there is one.
    """

    scores: np.ndarray
    best: np.ndarray
    probability: np.ndarray | None = None
    matched: np.ndarray | None = None
    why: str = ""


class Classes(NamedTuple):
    """What rows are taken for.

    Attributes:
      names: [N] of the likeliest class of each row.
      probability: [N, C] float32, a row sums to 1.
      logits: `logits` of all modalities together and `<modality>_logits` of each, [N, C] float32.
      classes: C names, in the order of the columns.
    """

    names: list[str]
    probability: np.ndarray
    logits: dict[str, np.ndarray]
    classes: tuple[str, ...]


class Pairs(NamedTuple):
    """How well audio and image belong together, row by row.

    Attributes:
      scores: [N] float32, larger for closer; of what unit and range the recipe says.
      matched: [N] bool, whether the score reaches the model's threshold; None where it has none.
      probability: [N] float32, how likely a pair belongs together, where one in two does; None
        where the model holds no calibration.
    """

    scores: np.ndarray
    matched: np.ndarray | None
    probability: np.ndarray | None = None
