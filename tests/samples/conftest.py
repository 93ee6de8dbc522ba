"""One export of small encoders for all samples."""

import pathlib
from typing import NamedTuple

import pytest

from tests import once
from tests.export import conftest as exports
from tests.samples import made_up
from tfav.encoders import audio, image
from tfav.export import servable
from tfav.export.lite import tflite
from tfav.export.parity import golden, tolerances
from tfav.recipes import recipe as base


class Export(NamedTuple):
    """Files in both floats, and what `made_up.write` wrote beside them."""

    folder: pathlib.Path
    vectors: dict


@pytest.fixture(scope="session")
def export(tmp_path_factory) -> Export:
    """Encoders of clips of 1.5 s and of squares of 32 pixels."""

    def make(folder):
        encoders = {"audio": audio.Tiny(16), "image": image.Tiny(16, 32)}
        recipe = base.Recipe(exports.settle(encoders), heads={})
        made = tflite.write(servable.Servable(recipe), str(folder), audio_samples=24_000)
        vectors = golden.vectors(recipe)
        vectors["tolerance"] = tolerances.measure(vectors, str(folder), made)
        made_up.write(folder, vectors)
        return vectors

    return Export(*once.once(tmp_path_factory, "samples", make))
