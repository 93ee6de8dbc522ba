"""An export published once, the stand-in that serves it, and what clients send."""

import numpy as np
import pytest
import tensorflow as tf

from tests import once
from tests.export.conftest import recipe  # noqa: F401
from tests.serving import loopback, sounds
from tests.serving.loaded import Loaded
from tfav.export import servable
from tfav.export.serving import saved_model


@pytest.fixture(scope="session")
def base(recipe, tmp_path_factory) -> str:  # noqa: F811
    """A model base path with version 1 of the tiny recipe; read only."""

    def make(folder):
        saved_model.write(servable.Servable(recipe), str(folder / "demo"))

    folder, _ = once.once(tmp_path_factory, "served", make)
    return str(folder / "demo")


@pytest.fixture(scope="session")
def loaded(base) -> Loaded:
    """The export behind the C++ Session."""
    return Loaded(base, "demo")


@pytest.fixture(scope="session")
def direct(base):
    """Calls a signature without any server: name, then tensors by name; a dict of arrays."""
    signatures = tf.saved_model.load(f"{base}/1").signatures

    def call(signature, **tensors):
        values = {name: tf.constant(value) for name, value in tensors.items()}
        return {name: x.numpy() for name, x in signatures[signature](**values).items()}

    return call


@pytest.fixture
def server(loaded):
    """The stand-in's REST API."""
    server = loopback.Server(loaded)
    yield server
    server.close()


@pytest.fixture(scope="session")
def clip() -> np.ndarray:
    """Half a second of samples that PCM16 holds exactly; zeros at the end."""
    return sounds.clip()


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A picture, as a JPEG file."""
    pixels = np.random.default_rng(3).integers(0, 256, [32, 32, 3], np.uint8)
    return tf.io.encode_jpeg(pixels).numpy()
