"""Judges a run on trial lists: are two clips of one speaker? By the cosine of their logits."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfav import registry
from tfav.commands.protocols import by_classes
from tfav.data import shards
from tfav.evaluation import trials
from tfav.experiment import models

SUFFIXES = (".csv", ".csv.gz")


def judge(
    run: models.Trained,
    index: shards.Index,
    output: str,
    tags: Sequence[str],
    lists_dir: str,
    seed: int,
) -> tuple[list[dict[str, Any]], list[os.PathLike]]:
    """Returns the figures of every trial list in `lists_dir`, over the rows of the splits `tags`.

    Raises:
      UserError: no trial list there; what the lists say of other data.
    """
    del output  # figures alone
    names = sorted(os.listdir(lists_dir)) if os.path.isdir(lists_dir) else []
    paths = [os.path.join(lists_dir, name) for name in names if name.endswith(SUFFIXES)]
    if not paths:
        raise registry.UserError(
            f"{lists_dir} holds no trial list (lines of label,wav1,wav2 in a .csv): name its "
            "folder with --lists=DIR."
        )
    c = run.config
    part = index.take(np.flatnonzero(np.isin(index.split, list(tags))))
    some = np.any([part.held(m) for m in c.modalities], axis=0)
    part = part.take(np.flatnonzero(some))
    if not len(part):
        raise registry.UserError(
            f"{index.directory} has no rows in {', '.join(tags)} to compare: name other --tags."
        )
    logits, present = by_classes.Scorer(c, run.recipe).score(part)
    results: list[dict[str, Any]] = []
    for path in paths:
        results += trials.evaluate(
            path,
            part.id.tolist(),
            logits,
            speakers=part.label.tolist(),
            present=present,
            num_bootstrap=c.eval.num_bootstrap,
            seed=seed,
        )
    return results, []
