"""Which rows train a linear probe and which test it: official folds, or the splits."""

import numpy as np
from numpy.typing import ArrayLike

from tfav import registry


def check_folds(fold: ArrayLike, recording: ArrayLike, where: str) -> None:
    """Raises UserError unless there are two folds or more and no recording lies in two of them.

    Args:
      fold: [N] name of the fold of each row.
      recording: [N] what each row was cut from.
      where: Folder of the data, for the message.
    """
    fold, recording = np.asarray(fold), np.asarray(recording)
    if len(np.unique(fold)) < 2 or (fold == "").any():
        raise registry.UserError(
            f"{where} has no two folds in its column fold, or rows without one: give the official "
            "folds, as random ones share recordings."
        )
    pairs = np.unique(np.stack([recording, fold]), axis=1)
    names, count = np.unique(pairs[0], return_counts=True)
    if (count > 1).any():
        name = names[np.argmax(count > 1)]
        folds = ", ".join(pairs[1][pairs[0] == name])
        raise registry.UserError(
            f"{where}: cuts of the recording {name} lie in the folds {folds}, so a test would hear "
            "what was trained on: give the official folds."
        )


def parts(split: ArrayLike, fold: ArrayLike | None) -> list[tuple[str, np.ndarray]]:
    """Returns the test parts: each fold, or the split `test` against `train`.

    Args:
      split: [N] name of the split of each row.
      fold: [N] name of the fold of each row, or None where there are no folds.

    Returns:
      (name, [N] int8: 0 = train, 1 = test, -1 = neither).

    Raises:
      UserError: neither folds nor the two splits.
    """
    if fold is not None:
        fold = np.asarray(fold)
        return [(name, (fold == name).astype(np.int8)) for name in np.unique(fold)]
    split = np.asarray(split)
    if not {"train", "test"} <= set(split):
        raise registry.UserError(
            f"a linear probe needs a column fold, or the splits train and test; the data has "
            f"{', '.join(np.unique(split))}: prepare it with either."
        )
    role = np.where(split == "train", 0, np.where(split == "test", 1, -1)).astype(np.int8)
    return [("test", role)]
