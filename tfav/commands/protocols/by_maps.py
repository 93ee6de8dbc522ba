"""Evaluates a run by where it says a sound comes from, against boxes of what sounds."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import ml_collections
import numpy as np
import tensorflow as tf

from tfav import progress, registry, tensors
from tfav.annotations import boxes as boxes_lib
from tfav.commands.protocols import by_pairs, protocol
from tfav.data import shards
from tfav.evaluation import localisation
from tfav.evaluation.result import Result
from tfav.experiment import inputs, models
from tfav.recipes import outputs
from tfav.recipes import recipe as base


class Marks(NamedTuple):
    """What is marked in the image of a row.

    Attributes:
      boxes: in fractions of the square that the image is fitted into; none of a negative.
      absent: what is heard where nothing in the image sounds, empty if unsaid; None of boxes.
    """

    boxes: list[boxes_lib.Box]
    absent: str | None


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
    marked = marks(part)
    confidence = None
    if any(m.absent is not None for m in marked):
        confidence = confidences(context, part)
    return localisation.evaluate(
        grids,
        [m.boxes for m in marked],
        tag=tag,
        truth=localisation.TRUTH[boxes_lib.meaning(column(part), part.info["source"])],
        rule=context.config.eval.binarise,
        confidence=confidence,
        absent=[m.absent or "" for m in marked],
        num_bootstrap=context.num_bootstrap,
        seed=context.seed,
    )


def column(part: shards.Index) -> str:
    """Returns which column of the data holds boxes; empty where none does.

    Raises:
      UserError: the data does not say how to read it.
    """
    return boxes_lib.column(part.extra, part.info["source"], part.directory)


def marked(c: ml_collections.ConfigDict, part: shards.Index) -> np.ndarray:
    """Returns [N] bool: which rows hold audio, image and a cell of boxes, or of their absence."""
    both = np.all([part.held(m) for m in c.modalities], axis=0)
    return both & (part.extra.get(column(part), np.full(len(part), "")) != "")


def with_boxes(c: ml_collections.ConfigDict, part: shards.Index) -> shards.Index:
    """Returns the rows of a split that hold audio, image and boxes.

    Raises:
      UserError: there is none.
    """
    rows = np.flatnonzero(marked(c, part))
    if not len(rows):
        raise registry.UserError(
            f"no row of split {part.split[0]} in {part.directory} has audio, image and a column "
            f"{' or '.join(boxes_lib.COLUMNS)}, which localisation is evaluated on: give annotated "
            "rows, see docs/datasets.md."
        )
    return part.take(rows)


def marks(part: shards.Index) -> list[Marks]:
    """Returns what is marked in each row's image; nothing where nobody marked anything."""
    name = column(part)
    cells = part.extra[name] if name else [""] * len(part)
    found = []
    for row, text in enumerate(cells):
        width, height = int(part.width[row]), int(part.height[row])
        side = max(width, height)
        x, y = (side - width) / 2 / side, (side - height) / 2 / side
        across, down = width / side, height / side
        boxes = [
            (x + left * across, y + top * down, x + right * across, y + bottom * down)
            for left, top, right, bottom in boxes_lib.read(text, part.id[row])
        ]
        found.append(Marks(boxes, boxes_lib.absent(text)))
    return found


def confidences(context: protocol.Context, part: shards.Index) -> np.ndarray | None:
    """Returns how sure each row's map is that something in its image sounds, [N].

    As the recipe says; of one that does not, how well the row's audio fits its image; None of one
    that says neither.
    """
    recipe = context.run.recipe
    own = getattr(recipe, "confidence", None)
    if own is not None:
        return np.array(_answers(context, part, own, "confidence"))
    if outputs.scores_pairs(recipe):
        return by_pairs.Scorer(context.config, recipe).own(part)
    return None


def maps(context: protocol.Context, part: shards.Index) -> list[np.ndarray]:
    """Returns where each row's sound comes from, [H', W'] in [0, 1]; of several frames, each."""
    recipe = context.run.recipe
    assert outputs.localizes(recipe), "`fits` has said so"
    return _answers(context, part, recipe.localize, "localise")


def _answers(
    context: protocol.Context,
    part: shards.Index,
    answer: Callable[[tensors.Batch], tf.Tensor],
    what: str,
) -> list[np.ndarray]:
    """Returns what a function of batches answers to each row."""
    c = context.config
    compiled = _compiled(answer)
    found: list[np.ndarray] = []
    batches = inputs.joint_batches(c, part.directory, part.id.tolist(), c.eval.batch_size)
    with (
        inputs.whole(part.directory),
        progress.bar(total=len(part), desc=what, unit="row") as bar,
    ):
        for batch in batches:
            found += list(compiled({k: v for k, v in batch.items() if k != "id"}).numpy())
            bar.update(len(found) - bar.n)
    return found


@functools.lru_cache(maxsize=2)  # a report asks it of split after split
def _compiled(
    answer: Callable[[tensors.Batch], tf.Tensor],
) -> tf.types.experimental.GenericFunction:
    return tf.function(answer, reduce_retracing=True, autograph=False)
