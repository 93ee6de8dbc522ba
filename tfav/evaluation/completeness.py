"""What is left of a query list when a few of its items are not in the data.

A data set may be prepared although its lists name a few files that could not be used (counted in
its report). What names them is left out here, and said beside the figures.
"""

import itertools
import os
from collections.abc import Sequence

from tfav import registry
from tfav.annotations import lists
from tfav.evaluation import space as spaces


def trials(
    path: str | os.PathLike, space: spaces.Space, direction: str, lines: Sequence[Sequence[str]]
) -> tuple[list[Sequence[str]], tuple[str, ...]]:
    """Returns the lines (probe, candidates) whose items all have embeddings, and notes.

    Raises:
      UserError: too many items have none, see `spaces.Space.missing`, or no line is left.
    """
    first, other = lists.MODALITIES[direction]
    probes = space.missing(path, first, (line[0] for line in lines))
    candidates = space.missing(path, other, itertools.chain(*(line[1:] for line in lines)))
    if not probes and not candidates:
        return list(lines), ()
    lost = set(probes), set(candidates)
    kept = [t for t in lines if t[0] not in lost[0] and not lost[1].intersection(t[1:])]
    left_out = len(lines) - len(kept)
    note = _missing_note(probes + candidates, f"{left_out} of {len(lines)} trials that name them")
    if not kept:
        raise registry.UserError(f"{path}: {note[:-1]}: use lists made for this data set.")
    return kept, (note,)


def galleries(
    path: str | os.PathLike,
    space: spaces.Space,
    direction: str,
    tasks: Sequence[lists.Gallery],
) -> tuple[list[lists.Gallery], tuple[str, ...]]:
    """Returns the retrieval tasks without the items that have no embedding, and notes.

    Raises:
      UserError: too many such items, see `spaces.Space.missing`, or nothing is left of a task.
    """
    missing = [
        space.missing(path, modality, itertools.chain(*ids))
        for modality, ids in zip(lists.MODALITIES[direction], zip(*tasks))
    ]
    if not any(missing):
        return list(tasks), ()
    lost = [set(names) for names in missing]
    kept = [
        lists.Gallery(*([x for x in ids if x not in gone] for ids, gone in zip(task, lost)))
        for task in tasks
    ]
    note = _missing_note(missing[0] + missing[1], "they")
    if not all(task.probes and task.gallery for task in kept):
        raise registry.UserError(
            f"{path}: {note[:-1]}, which leaves a gallery or its probes empty: use lists made for "
            "this data set."
        )
    return kept, (note,)


def _missing_note(missing: Sequence[str], left_out: str) -> str:
    return (
        f"{len(missing)} of its items are not in the data (first: {', '.join(missing[:3])}); "
        f"{left_out} are left out."
    )
