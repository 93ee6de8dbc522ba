"""All pairs of audio and image of a split, by the score that a recipe compares them by."""

import ml_collections
import numpy as np

from tfav import registry
from tfav.commands.protocols import by_pairs
from tfav.data import shards
from tfav.evaluation import decisions, pair_errors, retrieval, thresholds
from tfav.inference import recipe_embedder
from tfav.recipes import outputs
from tfav.recipes import recipe as base

MOST_ITEMS = 400  # of either modality, spread evenly over the rows
MOST_VALUES = 8  # of a column that groups are told of


def fits(recipe: base.Recipe | type[base.Recipe], c: ml_collections.ConfigDict) -> bool:
    """Says whether a recipe compares audio with images."""
    if outputs.classifies(recipe) or not {"audio", "image"} <= set(c.modalities):
        return False
    return outputs.scores_pairs(recipe) or recipe.shares_space


class Cosines:
    """Cosines of embeddings, in the form of `by_pairs.Scorer`."""

    def __init__(self, c: ml_collections.ConfigDict, recipe: base.Recipe):
        self._config = c
        self._embed = recipe_embedder.RecipeEmbedder(recipe).embed

    def side(
        self, part: shards.Index, modality: str, change: by_pairs.Change | None = None
    ) -> np.ndarray:
        """See `by_pairs.Scorer.side`."""
        found = by_pairs.side(self._config, self._embed, part, modality, change)
        return retrieval.normalize(found)

    def compare(self, audio: np.ndarray, image: np.ndarray) -> np.ndarray:
        """See `by_pairs.Scorer.compare`."""
        return retrieval.rounded(audio @ image.T)


Comparer = by_pairs.Scorer | Cosines


def scorer(c: ml_collections.ConfigDict, recipe: base.Recipe) -> Comparer:
    """Returns what compares audio with images as a recipe does."""
    return by_pairs.Scorer(c, recipe) if outputs.scores_pairs(recipe) else Cosines(c, recipe)


class PairTrials:
    """Every pair of an audio item and an image of a split, or of an even spread of them.

    Of a recipe that scores pairs of one moment, those of one row are right; of all others, those of
    one label.

    Attributes:
      score: `decisions.COSINE` or `decisions.SCORE`.
      resampled: what intervals resample, in the plural.
      audio: Index of the audio items.
      image: Index of the images.

    Args:
      c: Config of the run.
      recipe: with its weights.
      part: rows of one split.
      compare: by what pairs are compared, see `scorer`.
      most: Most items of either modality.

    Raises:
      UserError: there is no right or no wrong pair.
    """

    def __init__(
        self,
        c: ml_collections.ConfigDict,
        recipe: base.Recipe,
        part: shards.Index,
        compare: Comparer,
        most: int = MOST_ITEMS,
    ):
        self.score = decisions.COSINE if recipe.shares_space else decisions.SCORE
        self._by_row = outputs.scores_pairs(recipe)
        self.resampled = "rows" if self._by_row else "the identities of the audio items"
        if self._by_row:
            rows = by_pairs.paired(c, part)
            self.audio = self.image = _spread(rows, np.arange(len(rows)), most)
        else:
            self.audio, self.image = (
                _spread(part, np.flatnonzero(part.held(m)), most) for m in ("audio", "image")
            )
        self._split = str(part.split[0])
        self.label = self._right()
        if not self.label.any() or self.label.all():
            kind = "wrong" if self.label.any() else "right"
            raise registry.UserError(
                f"{part.directory} has no {kind} pair of audio and image in its split "
                f"{self._split}: prepare a split with two labels or more that have both."
            )
        self._scorer = compare
        self._images: np.ndarray | None = None

    def _right(self) -> np.ndarray:
        """Returns [A, I] bool: whether audio a and image i belong together."""
        if self._by_row:
            return np.eye(len(self.audio), dtype=bool)
        return self.audio.label[:, None] == self.image.label

    def trials(self, change: by_pairs.Change | None = None) -> thresholds.Trials:
        """Returns the pairs with their scores, audio by audio.

        Args:
          change: of batches of audio, before they are embedded; None: none.
        """
        if self._images is None:
            self._images = self._scorer.side(self.image, "image")
        score = self._scorer.compare(self._scorer.side(self.audio, "audio", change), self._images)
        code = np.arange(len(self.audio))
        if not self._by_row:
            code = np.unique(self.audio.label, return_inverse=True)[1]
        identity = np.repeat(code, len(self.image))
        return thresholds.Trials(self._split, score.ravel(), self.label.ravel(), identity)

    def groups(self) -> tuple[list[pair_errors.Group], list[str]]:
        """Returns the pairs that agree in a column of few values, and notes on the other columns.

        A pair belongs to a value where both of its items hold it.
        """
        found, many = [], []
        for column, of_audio in sorted(self.audio.extra.items()):
            of_image = self.image.extra[column]
            values = sorted({*of_audio.tolist(), *of_image.tolist()} - {""})
            if len(values) > MOST_VALUES:
                many.append(column)
            elif len(values) > 1:
                found += [
                    pair_errors.Group(
                        column, name, ((of_audio == name)[:, None] & (of_image == name)).ravel()
                    )
                    for name in values
                ]
        notes = []
        if many:
            notes.append(
                f"{self._split}: no error rates by {' and '.join(many)}, of which there are more "
                f"than {MOST_VALUES} values."
            )
        return found, notes


def _spread(part: shards.Index, rows: np.ndarray, most: int) -> shards.Index:
    """Returns so many of some rows, spread evenly."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int)
    return part.take(rows[places])
