"""An export's golden vectors and files, as programs in other languages read them."""

import base64
import json
import pathlib
import wave

import numpy as np


def write(folder: pathlib.Path, vectors: dict) -> None:
    """Writes clip.wav, picture.ppm, fitK.ppm, fitK.rgb and golden.json into a folder."""
    (folder / "golden.json").write_text(json.dumps(vectors))
    with wave.open(str(folder / "clip.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.array(vectors["audio"]["waveform_pcm16"], "<i2").tobytes())
    picture = np.frombuffer(base64.b64decode(vectors["image"]["pixels"]), np.uint8)
    _ppm(folder / "picture.ppm", picture.reshape(vectors["image"]["shape"]))
    for place, vector in enumerate(vectors["image"]["fit"]):
        pixels = by_formula(*vector["shape"][:2])
        _ppm(folder / f"fit{place}.ppm", pixels)
        (folder / f"fit{place}.rgb").write_bytes(pixels.tobytes())


def by_formula(height: int, width: int) -> np.ndarray:
    """Returns the image that golden.json describes, [height, width, 3] uint8."""
    y, x, c = np.indices([height, width, 3])
    return ((x * y // 4 + 5 * x * (c + 1) + 3 * y) % 256).astype(np.uint8)


def fitted(vector: dict) -> np.ndarray:
    """Returns the square of a vector of `fit`, flat."""
    return np.frombuffer(base64.b64decode(vector["fitted"]), np.uint8)


def _ppm(path: pathlib.Path, pixels: np.ndarray) -> None:
    height, width, _ = pixels.shape
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + pixels.tobytes())
