"""The demo's encoders, untrained, as an export: what the benchmarks of files embed by."""

import pathlib
import runpy

import numpy as np
from PIL import Image

from benchmarks import loader
from tfav.experiment import models
from tfav.export import publish
from tfav.export.options import ExportOptions, Inputs
from tfav.recipes import recipe as base

IDENTITIES = 140


def write(folder: str, files: str) -> base.Recipe:
    """Writes a SavedModel and the `.tflite` files to a folder; returns the recipe.

    Args:
      folder: of the export.
      files: holds `0.wav` and `0.jpg`, on which its parity is measured.
    """
    import soundfile

    c = runpy.run_path("configs/voice_face.py")["get_config"]("demo")
    recipe = models.model(c, IDENTITIES)
    clip, _ = soundfile.read(pathlib.Path(files, "0.wav"), dtype="float32")
    side = loader.SIZES["demo"].pixels
    image = np.asarray(Image.open(pathlib.Path(files, "0.jpg")).resize((side, side)))
    items = {"audio": [("0", clip)], "image": [("0", image)]}
    options = ExportOptions(audio_seconds=c.export.audio_seconds, min_cosine=0.99)
    publish.publish(recipe, Inputs(items), folder, options)
    return recipe
