"""The encoders of a trained recipe as an embedder."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfav import tensors
from tfav.ops import similarity
from tfav.recipes import outputs
from tfav.recipes import recipe as recipe_lib


class RecipeEmbedder:
    """The encoders of a trained recipe, in the form of `embedders.Embedder`.

    Args:
      recipe: built, with its weights.
      function: (modality, batch) returns what to take for embeddings, [B, ...]; None: those of the
        encoders, of unit norm.
    """

    def __init__(
        self,
        recipe: recipe_lib.Recipe,
        function: Callable[[str, tensors.Batch], tf.Tensor] | None = None,
    ):
        self._recipe = recipe
        self._function = function or (lambda m, batch: similarity.normalize(recipe.embed(m, batch)))
        self.modalities = tuple(recipe.encoders)
        self.image_size = {
            m: encoder.image_size for m, encoder in recipe.encoders.items() if m != "audio"
        }
        self._functions: dict[tuple[str, int], tf.types.experimental.GenericFunction] = {}

    @property
    def embedding_space(self) -> str:
        """Returns the id of the space; see `answers.embedding_space`."""
        return outputs.embedding_space(self._recipe)

    def _compile(self, modality: str, rank: int) -> tf.types.experimental.GenericFunction:
        """Returns one trace for every number of rows, clip length and number of frames."""
        encoder = self._recipe.encoders[modality]
        if encoder.modality == "audio":
            spec = {
                modality: tf.TensorSpec([None, None], tf.float32),
                "num_samples": tf.TensorSpec([None], tf.int32),
            }
        else:
            size = encoder.image_size
            spec = {modality: tf.TensorSpec([None] * (rank - 3) + [size, size, 3], tf.uint8)}

        def embed(batch: tensors.Batch) -> tf.Tensor:
            found = self._function(modality, batch)
            return tf.reshape(found, tf.stack([tf.shape(found)[0], -1]))

        return tf.function(embed, input_signature=[spec])

    def embed(self, modality: str, batch: tensors.Batch) -> np.ndarray:
        """Returns embeddings [B, D] float32, flat; see `embedders.Embedder.embed`."""
        names = [modality]
        if self._recipe.encoders[modality].modality == "audio":
            names.append("num_samples")
        wanted = {name: tf.convert_to_tensor(batch[name]) for name in names}
        key = modality, wanted[modality].shape.rank
        if key not in self._functions:
            self._functions[key] = self._compile(*key)
        return self._functions[key](wanted).numpy()
