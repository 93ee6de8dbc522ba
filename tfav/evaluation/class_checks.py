"""Whether rows with logits can be evaluated."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfav import registry


def check(
    logits: Mapping[str, np.ndarray],
    label: np.ndarray,
    class_names: Sequence[str],
    present: Mapping[str, np.ndarray],
    tag: str,
    fused: str,
) -> None:
    """Refuses rows that no classifier can be evaluated on.

    Args:
      logits: direction to [N, C].
      label: [N] int.
      class_names: C names.
      present: direction to [N] bool.
      tag: which part of the data.
      fused: name of the direction that is of all modalities.

    Raises:
      UserError: no row, one class only, a label outside the classes, a logit that is not finite, or
        a row without any modality.
      ValueError: shapes differ.
    """
    if not len(label):
        raise registry.UserError(f"{tag}: there is no row to evaluate: choose another split.")
    size = len(class_names)
    outside = label[(label < 0) | (label >= size)]
    if len(outside):
        raise registry.UserError(
            f"{tag}: {len(outside)} of {len(label)} labels lie outside the {size} classes 0 to "
            f"{size - 1} (first: {outside[0]}): evaluate on data that has the classes of training."
        )
    if len(np.unique(label)) < 2:
        raise registry.UserError(
            f"{tag}: all {len(label)} rows are of the class {class_names[label[0]]!r}, where "
            "accuracy says nothing: evaluate on data of two classes or more."
        )
    some = np.any([p for d, p in present.items() if d != fused] or [present[fused]], axis=0)
    if not some.all():
        raise registry.UserError(
            f"{tag}: {int((~some).sum())} of {len(label)} rows have none of the modalities: leave "
            "such rows out of the data."
        )
    for direction, values in logits.items():
        if np.shape(values) != (len(label), size):
            raise ValueError(f"logits[{direction!r}] {np.shape(values)}: not {len(label), size}.")
        broken = present[direction] & ~np.isfinite(values).all(axis=1)
        if broken.any():
            raise registry.UserError(
                f"{tag}: the {direction} logits of {int(broken.sum())} of {len(label)} rows are "
                f"NaN or infinite (first: row {int(np.argmax(broken))}): look at the checkpoint."
            )
