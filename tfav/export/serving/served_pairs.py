"""The signatures that say whether audio and image belong together: of tensors, and of files."""

from collections.abc import Mapping

import tensorflow as tf

from tfav import items
from tfav.evaluation import decisions
from tfav.export.serving import file_readers, requests

PAIRS, PAIR_FILES = "score_pairs", "score_pairs_files"


def files(specs: Mapping[str, items.ItemSpec]) -> tuple[str, ...]:
    """Returns the names of the files that a row can be sent as; none where it cannot."""
    names = tuple(spec.file for spec in specs.values())
    return names if all(names) else ()


def read(
    specs: Mapping[str, items.ItemSpec],
    sent: Mapping[str, tf.Tensor],
) -> dict[str, tf.Tensor]:
    """Returns rows that are sent as files as the inputs of `score_pairs`.

    Args:
      specs: modality to what one item of it is.
      sent: name of a file to its bytes, [B].
    """
    checked = requests.rows(PAIR_FILES, sent)
    found: dict[str, tf.Tensor] = {}
    for spec in specs.values():
        found |= file_readers.reader(PAIR_FILES, spec)(checked[spec.file])
    return found


def decided(answer: Mapping[str, tf.Tensor], threshold: float | None) -> dict[str, tf.Tensor]:
    """Returns `score` [B] and, with a threshold, `matched` [B] bool: whether it is reached."""
    if threshold is None:
        return dict(answer)
    return {**answer, "matched": answer["score"] >= threshold}


def calibrated(
    answer: Mapping[str, tf.Tensor], decided: decisions.Decisions | None
) -> dict[str, tf.Tensor]:
    """Returns an answer, and of scores with a calibration `probability` [B] float32 of a match."""
    if decided is None or decided.slope is None or "score" not in answer:
        return dict(answer)
    logit = decided.slope * answer["score"] + decided.intercept
    return {**answer, "probability": tf.sigmoid(logit)}
