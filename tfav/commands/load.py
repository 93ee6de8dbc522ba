"""Opens whatever holds an encoder: a run, a SavedModel, `.tflite` files, or the toy."""

import os

from tfav import registry
from tfav.inference import embedders
from tfav.inference import model as model_lib

# The pair that ships with this package, trained on made-up people; where no file is called so.
TOY = "toy"
_TOY_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "toy")
_TOY_FILES = ("audio_float16.tflite", "image_float16.tflite", "golden.json", "parity.json")


def load(path: str | os.PathLike) -> model_lib.Model:
    """Returns the model of a trained run, of an export, or of a `.tflite`.

    Args:
      path: a workdir, an export's folder (its newest version is taken), a SavedModel's folder; a
        `.tflite`, or a folder of such alone, which take no TensorFlow where LiteRT is there; or
        `toy`, the small pair for trying things that ships with this package.

    Raises:
      UserError: nothing of that kind there, or it is damaged.
    """
    return model_lib.Model(embedder(os.fspath(path)))


def resolve(path: str) -> str:
    """Returns a path, and of `toy`, where nothing is called so, the folder of that pair.

    Raises:
      UserError: the toy was not installed whole.
    """
    if path != TOY or os.path.exists(path):
        return path
    for name in _TOY_FILES:
        if not os.path.isfile(os.path.join(_TOY_FOLDER, name)):
            raise registry.UserError(
                f"{os.path.join(_TOY_FOLDER, name)} of the toy pair is missing: install tfav again."
            )
    return _TOY_FOLDER


def embedder(path: str) -> embedders.Embedder:
    """Returns what `load` wraps."""
    path = resolve(path)
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
