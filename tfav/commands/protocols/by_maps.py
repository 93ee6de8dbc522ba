"""Evaluates a run by where it says a sound comes from, against annotators' boxes."""

import ml_collections
import numpy as np
import tensorflow as tf
import tqdm

from tfav import registry
from tfav.annotations import boxes as boxes_lib
from tfav.commands.protocols import protocol
from tfav.data import shards
from tfav.evaluation import localisation
from tfav.evaluation.result import Result
from tfav.experiment import inputs, models
from tfav.recipes import outputs
from tfav.recipes import recipe as base

COLUMN = "boxes"


class Localisation(protocol.Protocol):
    """The rows with audio, image and boxes of the splits that the tags name."""

    metrics = localisation.METRICS
    compares = "maps of where a sound comes from with boxes"

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether the recipe draws maps."""
        del c
        return outputs.localizes(recipe)

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of the rows of the splits that have boxes.

        Raises:
          UserError: no such row, or a run that looks at several frames.
        """
        num_frames = models.items(context.config)["image"].num_frames
        if num_frames > 1:
            raise registry.UserError(
                f"boxes mark one image per row and this run looks at {num_frames} frames: evaluate "
                "one with --config.image.num_frames=1, or leave localisation out of --protocols."
            )
        results = []
        for tag in context.tags:
            part = with_boxes(context.config, context.index.select(tag))
            results += figures(context, tag, part, maps(context, part))
        return protocol.Evaluated(results)


def figures(
    context: protocol.Context, tag: str, part: shards.Index, grids: list[np.ndarray]
) -> list[Result]:
    """Returns the figures of the maps of rows with boxes."""
    return localisation.evaluate(
        grids, boxes(part), tag=tag, num_bootstrap=context.num_bootstrap, seed=context.seed
    )


def marked(c: ml_collections.ConfigDict, part: shards.Index) -> np.ndarray:
    """Returns [N] bool: which rows hold audio, image and boxes."""
    both = np.all([part.held(m) for m in c.modalities], axis=0)
    return both & (part.extra.get(COLUMN, np.full(len(part), "")) != "")


def with_boxes(c: ml_collections.ConfigDict, part: shards.Index) -> shards.Index:
    """Returns the rows of a split that hold audio, image and boxes.

    Raises:
      UserError: there is none.
    """
    rows = np.flatnonzero(marked(c, part))
    if not len(rows):
        raise registry.UserError(
            f"no row of split {part.split[0]} in {part.directory} has audio, image and a column "
            f"{COLUMN}, which localisation is evaluated on: give annotated rows, see "
            "docs/datasets.md."
        )
    return part.take(rows)


def boxes(part: shards.Index) -> list[list[boxes_lib.Box]]:
    """Returns each row's boxes in fractions of the square that its image is fitted into."""
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


def maps(context: protocol.Context, part: shards.Index) -> list[np.ndarray]:
    """Returns where each row's sound comes from, [H', W'] in [0, 1]; of several frames, each."""
    c, recipe = context.config, context.run.recipe
    assert outputs.localizes(recipe), "`fits` has said so"
    localize = tf.function(recipe.localize, reduce_retracing=True, autograph=False)
    found: list[np.ndarray] = []
    batches = inputs.joint_batches(c, part.directory, part.id.tolist(), c.eval.batch_size)
    with (
        inputs.whole(part.directory),
        tqdm.tqdm(total=len(part), desc="localise", unit="row", disable=None) as bar,
    ):
        for batch in batches:
            found += list(localize({k: v for k, v in batch.items() if k != "id"}).numpy())
            bar.update(len(found) - bar.n)
    return found
