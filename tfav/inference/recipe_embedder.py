"""The encoders of a trained recipe as an embedder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfav import registry, tensors
from tfav.evaluation import decisions
from tfav.recipes import outputs
from tfav.recipes import recipe as recipe_lib


class RecipeEmbedder:
    """The encoders of a trained recipe, in the form of `embedder.Embedder`.

    Args:
      recipe: built, with its weights.
      function: (modality, batch) returns what to take for embeddings, [B, ...], of what is heard;
        None: the embeddings, `outputs.embedding`.
      classes: their names in the order of the logits, of a recipe that classifies.
      num_frames: modality of images to their frames; one where left out.
      decided: thresholds and calibration, as `evaluation.decisions` has them; None: none.

    Raises:
      ValueError: decisions of another space.
    """

    def __init__(
        self,
        recipe: recipe_lib.Recipe,
        function: Callable[[str, tensors.Batch], tf.Tensor] | None = None,
        classes: Sequence[str] = (),
        num_frames: Mapping[str, int] | None = None,
        decided: Mapping[str, Any] | None = None,
    ):
        outputs.check_hearing(recipe)
        self._recipe = recipe
        self._function = function
        self.modalities = tuple(recipe.encoders)
        self.items = outputs.item_specs(recipe, num_frames)
        self.embedding_size: Mapping[str, int] = recipe.embedding_size
        self.hearing = recipe.hearing
        self.shares_space = outputs.shares_space(recipe)
        self.classes = tuple(classes) if outputs.classifies(recipe) else ()
        self.threshold = outputs.decision(recipe)
        self.temperature = recipe.facts().get("temperature")
        self.decisions = decisions.read(decided, self.embedding_space) if decided else None
        # What reads the recipe alone is traced once for all protocols that embed by it.
        own = function is None or getattr(function, "__self__", None) is recipe
        self._functions = recipe.traced if own else {}

    @property
    def embedding_space(self) -> str:
        """Returns the id of the space; see `outputs.embedding_space`."""
        return outputs.embedding_space(self._recipe)

    def _compile(self, modality: str, rank: int) -> tf.types.experimental.GenericFunction:
        """Returns one trace for every number of rows, clip length and number of frames."""
        item = self.items[modality]
        shape = item.shape[-(rank - 1) :]
        spec = {
            modality: tf.TensorSpec([None] * (rank - len(shape)) + list(shape), item.dtype),
            **({item.length: tf.TensorSpec([None], tf.int32)} if item.length else {}),
        }

        def embed(batch: tensors.Batch) -> tf.Tensor:
            if self._function is None:
                found = outputs.embedding(self._recipe, modality, batch)
            else:
                found = self._function(modality, outputs.hear(self._recipe, batch))
            return tf.reshape(found, tf.stack([tf.shape(found)[0], -1]))

        return tf.function(embed, input_signature=[spec], autograph=False)

    def refuses(self, modality: str, item: np.ndarray) -> str:
        """Returns nothing: items of any size go through."""
        del modality, item
        return ""

    def embed(self, modality: str, batch: tensors.Batch) -> np.ndarray:
        """Returns embeddings [B, D] float32, flat; see `embedder.Embedder.embed`."""
        values = tf.convert_to_tensor(batch[modality])
        wanted = {modality: values}
        length = self.items[modality].length
        if length:
            count = batch.get(length)
            whole = tf.fill(tf.shape(values)[:1], tf.shape(values)[1])
            wanted[length] = whole if count is None else tf.cast(count, tf.int32)
        rank = values.shape.rank
        key = modality, rank, self.items[modality], self._function, self._recipe.hearing
        if key not in self._functions:
            self._functions[key] = self._compile(modality, rank)
        return self._functions[key](wanted).numpy()

    def classify(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """See `embedders.Embedder.classify`."""
        return self._answer("classify", batch, "tells no classes apart: name an mmcosine run")

    def localize(self, batch: tensors.Batch) -> np.ndarray:
        """See `embedders.Embedder.localize`."""
        reason = "does not say where a sound comes from: name a dmc run"
        return self._answer("localize", batch, reason)["map"]

    def score_pairs(self, batch: tensors.Batch) -> dict[str, np.ndarray]:
        """See `embedders.Embedder.score_pairs`."""
        found = self._answer("score_pairs", batch, "scores no pairs: name a dmc, l3 or infonce run")
        if self.threshold is not None:
            found["matched"] = found["score"] >= self.threshold
        return found

    def _answer(self, name: str, batch: tensors.Batch, without: str) -> dict[str, np.ndarray]:
        answer = outputs.joint(self._recipe).get(name)
        if answer is None:
            raise registry.UserError(f"this run {without}.")
        found = answer(outputs.hear(self._recipe, batch))
        return {key: value.numpy() for key, value in found.items()}
