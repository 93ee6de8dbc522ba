"""Judges a run by where it says a sound comes from, against annotators' boxes."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm

from tfav import registry
from tfav.annotations import boxes as boxes_lib
from tfav.data import shards
from tfav.evaluation import localisation
from tfav.experiment import inputs as reading
from tfav.experiment import models

COLUMN = "boxes"


def judge(
    run: models.Trained,
    index: shards.Index,
    output: str,
    tags: Sequence[str],
    lists_dir: str,
    seed: int,
) -> tuple[list[dict[str, Any]], list[os.PathLike]]:
    """Returns the figures of the rows of the splits `tags` that have boxes.

    Raises:
      UserError: no such row, a recipe that localises nothing, or a run that looks at several
        frames.
    """
    del output, lists_dir  # figures alone, of whole splits
    num_frames = models.pictures(run.config)["image"].num_frames
    if num_frames > 1:
        raise registry.UserError(
            f"boxes mark one picture a row and this run looks at {num_frames} frames: judge one "
            "with --config.image.num_frames=1, or leave localisation out of --protocols."
        )
    results: list[dict[str, Any]] = []
    for tag in tags:
        part = with_boxes(run, index, tag)
        results += localisation.evaluate(
            maps(run, part),
            boxes(part),
            tag=tag,
            num_bootstrap=run.config.eval.num_bootstrap,
            seed=seed,
        )
    return results, []


def with_boxes(run: models.Trained, index: shards.Index, tag: str) -> shards.Index:
    """Returns the rows of a split that hold sound, picture and boxes."""
    part = index.select(tag)
    marked = part.extra.get(COLUMN, np.full(len(part), "")) != ""
    both = np.all([part.held(m) for m in run.config.modalities], axis=0)
    part = part.take(np.flatnonzero(marked & both))
    if not len(part):
        raise registry.UserError(
            f"no row of split {tag} in {index.directory} has a column {COLUMN}, sound and picture: "
            "localisation is judged on annotated rows, see docs/datasets.md."
        )
    return part


def boxes(part: shards.Index) -> list[list[boxes_lib.Box]]:
    """Returns each row's boxes in fractions of the square that its picture is fitted into."""
    found = []
    for row, text in enumerate(part.extra[COLUMN]):
        width, height = int(part.width[row]), int(part.height[row])
        side = max(width, height)
        x, y = (side - width) / 2 / side, (side - height) / 2 / side
        across, down = width / side, height / side
        found.append(
            [
                (x + left * across, y + top * down, x + right * across, y + bottom * down)
                for left, top, right, bottom in boxes_lib.read(text, part.id[row])
            ]
        )
    return found


def maps(run: models.Trained, part: shards.Index) -> list[np.ndarray]:
    """Returns where each row's sound comes from, [H', W'] in [0, 1].

    Raises:
      UserError: the recipe localises nothing.
    """
    c = run.config
    if not hasattr(run.recipe, "localize"):
        raise registry.UserError(
            f"the recipe {c.recipe} does not say where a sound comes from: judge a dmc run."
        )
    localize = tf.function(run.recipe.localize, reduce_retracing=True)
    found: list[np.ndarray] = []
    batches = reading.joint_batches(c, part.directory, part.id.tolist(), c.eval.batch_size)
    with (
        reading.whole(part.directory),
        tqdm.tqdm(total=len(part), desc="localise", unit="row", disable=None) as bar,
    ):
        for batch in batches:
            inputs = {name: value for name, value in batch.items() if name != "id"}
            found += list(localize(inputs).numpy())
            bar.update(len(found) - bar.n)
    return found
