"""Evaluates a run by what belongs together: matched against mismatched pairs of audio and image."""

from collections.abc import Callable, Mapping, Sequence

import ml_collections
import numpy as np

from tfav import registry, tensors
from tfav.annotations import boxes
from tfav.commands.protocols import protocol
from tfav.data import shards
from tfav.evaluation import correspondence
from tfav.evaluation.metric import Metric
from tfav.experiment import inputs
from tfav.inference import recipe_embedder
from tfav.recipes import outputs
from tfav.recipes import recipe as base

_BLOCK_ROWS = 64  # of a score matrix at a time

Change = Callable[[tensors.Batch], tensors.Batch]


class Correspondence(protocol.Protocol):
    """The rows with audio and image of the splits that the tags name."""

    metrics: Sequence[Metric] = correspondence.METRICS
    compares = "whole pairs of audio and image by a score"
    page = "pairs"

    def fits(self, recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
        """Says whether the recipe scores pairs."""
        del c
        return outputs.scores_pairs(recipe)

    def evaluate(self, context: protocol.Context) -> protocol.Evaluated:
        """Returns the figures of the splits."""
        scorer = Scorer(context.config, context.run.recipe)
        results = []
        for tag in context.tags:
            part = paired(context.config, context.index.select(tag))
            results += correspondence.evaluate(
                scorer.score(part),
                part.label,
                tag=tag,
                num_bootstrap=context.num_bootstrap,
                seed=context.seed,
            )
        return protocol.Evaluated(results)

    def check(self, c: ml_collections.ConfigDict, index: shards.Index) -> None:
        """Refuses data without two pairs in the split val."""
        paired(c, protocol.validation_split(index), f", or {protocol.KEEP_LAST}")

    def validation(
        self, c: ml_collections.ConfigDict, recipe: base.Recipe, index: shards.Index
    ) -> Callable[[], Mapping[str, float]]:
        """Returns a function that gives the AUC of the split val, without labels: `val/metric`."""
        scorer = Scorer(c, recipe)
        part = paired(c, index.select("val"))

        def validate() -> dict[str, float]:
            matched, mismatched = correspondence.draw(scorer.score(part), None, c.seed)
            return {"val/metric": correspondence.auc(matched, mismatched)}

        return validate


def paired(
    c: ml_collections.ConfigDict,
    part: shards.Index,
    otherwise: str = "",
    negatives: bool = False,
) -> shards.Index:
    """Returns the rows of a split that hold both modalities, at least two.

    Args:
      c: Config of the run.
      part: rows of one split.
      otherwise: what else a user may do, for the sentence.
      negatives: whether rows also count of which the data says that nothing in the image sounds.

    Raises:
      UserError: there are fewer.
    """
    both = np.all([part.held(m) for m in c.modalities], axis=0)
    for column in () if negatives else boxes.COLUMNS:
        cells = part.extra.get(column, [""] * len(part))
        both &= np.array([boxes.absent(text) is None for text in cells], bool)
    if np.count_nonzero(both) < 2:
        raise registry.UserError(
            f"{part.directory} has {np.count_nonzero(both)} rows with audio and image in its split "
            f"{part.split[0]}, where a mismatch takes two: prepare more{otherwise}."
        )
    return part.take(np.flatnonzero(both))


class Scorer:
    """Scores of all pairs, by a recipe whose weights may change between two calls."""

    def __init__(self, c: ml_collections.ConfigDict, recipe: base.Recipe):
        assert outputs.scores_pairs(recipe), "`fits` has said so"
        self._config = c
        self._pair_scores = recipe.pair_scores
        self._represent = recipe_embedder.RecipeEmbedder(recipe, recipe.represent)
        self._shapes = {
            m: recipe.represent(m, {m: encoder.example()}).shape[1:]
            for m, encoder in recipe.encoders.items()
        }

    def score(self, part: shards.Index) -> np.ndarray:
        """Returns [N, N]: how well the audio of row i fits the image of row j."""
        return self.compare(*(self.side(part, m) for m in ("audio", "image")))

    def own(self, part: shards.Index) -> np.ndarray:
        """Returns [N]: how well the audio of each row fits its own image."""
        audio, image = (self.side(part, m) for m in ("audio", "image"))
        blocks = [
            np.diag(self._pair_scores(audio[rows], image[rows])) for rows in _blocks(len(part))
        ]
        return np.concatenate(blocks)

    def side(self, part: shards.Index, modality: str, change: Change | None = None) -> np.ndarray:
        """Returns what each row is represented by, [N, ...] of one modality.

        Args:
          part: N rows that hold it.
          modality: `audio` or `image`.
          change: of a batch of the modality, before it is represented; None: none.
        """
        return side(self._config, self._represent.embed, part, modality, change).reshape(
            [len(part), *self._shapes[modality]]
        )

    def compare(self, audio: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Returns [N, M]: how well each audio fits each image, both as `side` gives them."""
        blocks = [np.asarray(self._pair_scores(audio[rows], image)) for rows in _blocks(len(audio))]
        return np.concatenate(blocks)


def side(
    c: ml_collections.ConfigDict,
    embed: Callable[[str, tensors.Batch], np.ndarray],
    part: shards.Index,
    modality: str,
    change: Change | None = None,
) -> np.ndarray:
    """Returns what `embed` says of each row, [N, D].

    Args:
      c: Config of the run.
      embed: of a modality and a batch.
      part: N rows that hold the modality.
      modality: of them.
      change: of a batch of the modality, before it is embedded; None: none.
    """
    changed = embed if change is None else lambda name, batch: embed(name, change(batch))
    found = inputs.embeddings(c, changed, part.directory, {modality: part.id.tolist()})[modality]
    return np.stack([found[name] for name in part.id])


def _blocks(num_rows: int) -> list[slice]:
    return [slice(i, i + _BLOCK_ROWS) for i in range(0, num_rows, _BLOCK_ROWS)]
