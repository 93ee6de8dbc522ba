"""Sites of all three systems, each made once for all processes, and a browser that opens them."""

import os
import pathlib
import threading

import numpy as np
import pytest

import tfav
from tests import chromium, once
from tests.export import conftest as exports
from tests.export import test_localize
from tfav.browser import runtime, server
from tfav.commands import web
from tfav.encoders import audio, image
from tfav.export import servable as servable_lib
from tfav.export.lite import tflite
from tfav.inference import tflite_folder

ROOT = pathlib.Path(tfav.__file__).parent.parent
LITERT = os.environ.get("TFAV_LITERT", str(ROOT / ".litert"))
CLIP_SAMPLES = 8_000


@pytest.fixture(scope="session")
def litert() -> str:
    """The folder of LiteRT.js; skips without it."""
    if not os.path.isdir(LITERT):
        pytest.skip(f"no LiteRT.js in {LITERT}: mkdir -p .litert && {runtime.PACK}")
    return LITERT


@pytest.fixture(scope="session")
def toy_site(litert, tmp_path_factory) -> str:
    """The site of the toy, with made-up people; read only."""

    def make(folder):
        web.write("toy", [], str(folder / "site"), runtime_folder=litert)

    folder, _ = once.once(tmp_path_factory, "toy_site", make)
    return str(folder / "site")


def _of_files(factory, litert, name, recipe, **about) -> str:
    """Writes the `.tflite` files of a recipe alone, without a SavedModel, and their site."""

    def make(folder):
        (folder / "export").mkdir()
        servable = servable_lib.Servable(recipe(), **about)
        tflite.write(
            servable, str(folder / "export"), audio_samples=CLIP_SAMPLES, precisions=("float32",)
        )
        web.write(str(folder / "export"), [], str(folder / "site"), runtime_folder=litert)

    folder, _ = once.once(factory, name, make)
    return str(folder / "site")


@pytest.fixture(scope="session")
def class_site(litert, tmp_path_factory) -> str:
    """The site of a classifier whose modalities' logits add up; read only."""

    def recipe():
        encoders = {"audio": audio.Tiny(16), "image": image.Tiny(16, exports.SIZE)}
        return exports.Classifying(exports.settle(encoders))

    return _of_files(tmp_path_factory, litert, "class_site", recipe, classes=exports.CLASSES)


@pytest.fixture(scope="session")
def scene_site(litert, tmp_path_factory) -> str:
    """The site of a recipe that localises and scores pairs; read only."""
    recipe, threshold = test_localize.scenes, test_localize.THRESHOLD
    return _of_files(tmp_path_factory, litert, "scene_site", recipe, threshold=threshold)


def python_of(folder: str) -> tfav.Model:
    """Returns what Python opens of the files of a site."""
    return tfav.Model(tflite_folder.TFLiteFolder(os.path.join(folder, "models")))


@pytest.fixture(scope="session")
def address():
    """Serves sites; returns the address of a folder."""
    servers: dict[str, server.http.server.ThreadingHTTPServer] = {}

    def of(folder: str) -> str:
        if folder not in servers:
            servers[folder] = server.serve(folder, 0)
            threading.Thread(target=servers[folder].serve_forever, daemon=True).start()
        return f"http://localhost:{servers[folder].server_address[1]}/"

    yield of
    for made in servers.values():
        made.shutdown()
        made.server_close()


@pytest.fixture(scope="session")
def spoken(tmp_path_factory) -> pathlib.Path:
    """A WAV file of 3 s of a made-up voice that swells and glides, which a microphone hears."""
    import soundfile

    time = np.arange(48_000) / 48_000
    glide = np.cumsum(180 + 60 * np.sin(2 * np.pi * 0.7 * np.arange(3 * 48_000) / 48_000)) / 48_000
    voice = sum(np.sin(2 * np.pi * k * glide) / k for k in range(1, 9))
    swell = 0.1 + 0.1 * np.sin(2 * np.pi * np.tile(time, 3) * 4) ** 2
    path = tmp_path_factory.mktemp("spoken") / "voice.wav"
    soundfile.write(path, (swell * voice).astype(np.float32), 48_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def window(spoken):
    """A browser with a microphone that plays `spoken` and a camera that shows a test picture."""
    binary = chromium.find()
    if binary is None:
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium)")
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    made = chromium.Browser(binary, flags=[*flags, f"--use-file-for-fake-audio-capture={spoken}"])
    yield made
    made.close()
