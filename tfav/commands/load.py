"""Opens whatever holds an encoder: a run, a SavedModel or a `.tflite`."""

import os

from tfav.inference import embedders


def embedder(path: str) -> embedders.Embedder:
    """Returns the embedder of a workdir, an export's folder, a SavedModel or a `.tflite`.

    Raises:
      UserError: nothing of that kind there, or it is damaged.
    """
    if os.path.exists(os.path.join(path, "config.json")):
        from tfav.experiment import models  # a `.tflite` does without TensorFlow
        from tfav.inference import recipe_embedder

        return recipe_embedder.RecipeEmbedder(models.trained(path).recipe)
    return embedders.load(path)
