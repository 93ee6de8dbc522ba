"""One small recipe, published once for all tests of this folder."""

import collections

import numpy as np
import pytest

from tfav.encoders import audio, image
from tfav.export import publish
from tfav.recipes import base

SIZE = 32
EMBEDDING_SIZE = 16

Published = collections.namedtuple("Published", "directory certificate")


@pytest.fixture(scope="session")
def recipe() -> base.Recipe:
    """Tiny encoders; batch norms as if trained, so that folding them wrongly shows."""
    encoders = {
        "audio": audio.Tiny(EMBEDDING_SIZE, dropout=0.5),
        "image": image.Tiny(EMBEDDING_SIZE, SIZE, dropout=0.5),
    }
    made = base.Recipe(encoders, heads={})
    random = np.random.default_rng(0)
    for name, variable in made.encoder_weights().items():
        if name.endswith(("gamma", "moving_variance")):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif name.endswith(("beta", "moving_mean")):
            variable.assign(random.normal(0.0, 0.1, variable.shape))
    return made


@pytest.fixture(scope="session")
def inputs() -> dict:
    """Clips shorter than, equal to and longer than the half second of the .tflite; three images."""
    random = np.random.default_rng(1)
    lengths = {"short.wav": 3_000, "half.wav": 8_000, "long.wav": 20_000}
    return {
        "audio": [(n, random.uniform(-0.3, 0.3, t).astype(np.float32)) for n, t in lengths.items()],
        "image": [
            (f"{i}.jpg", random.integers(0, 256, [SIZE, SIZE, 3], np.uint8)) for i in range(3)
        ],
    }


@pytest.fixture(scope="session")
def published(recipe, inputs, tmp_path_factory) -> Published:
    """What `publish` writes and returns; read only."""
    directory = str(tmp_path_factory.mktemp("exports") / "demo")
    certificate = publish.publish(recipe, inputs, directory, audio_seconds=0.5, min_cosine=0.999)
    return Published(directory, certificate)
