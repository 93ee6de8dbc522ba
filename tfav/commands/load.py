"""Opens whatever holds an encoder: a run, a SavedModel or a `.tflite`."""

import os

from tfav.inference import embedders
from tfav.inference import model as model_lib


def load(path: str | os.PathLike) -> model_lib.Model:
    """Returns the model of a trained run, of an export, or of a `.tflite`.

    Args:
      path: a workdir, an export's folder (its newest version is taken), a SavedModel's folder, or a
        `.tflite`, which takes no TensorFlow where LiteRT is there.

    Raises:
      UserError: nothing of that kind there, or it is damaged.
    """
    return model_lib.Model(embedder(os.fspath(path)))


def embedder(path: str) -> embedders.Embedder:
    """Returns what `load` wraps."""
    if os.path.exists(os.path.join(path, "config.json")):
        from tfav.experiment import (
            measured_decisions,
            models,
        )  # a `.tflite` does without TensorFlow
        from tfav.inference import recipe_embedder

        run = models.trained(path)
        frames = {
            name: spec.num_frames for name, spec in models.items(run.config).items() if spec.fitted
        }
        decided = measured_decisions.find(path, run.config)
        return recipe_embedder.RecipeEmbedder(
            run.recipe, classes=run.labels, num_frames=frames, decided=decided
        )
    return embedders.load(path)
