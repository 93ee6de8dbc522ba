"""tfav: audio and images in one embedding space, in TensorFlow.

    import tfav

    model = tfav.load("runs/demo/run")  # or an export's folder, or a .tflite
    print(model.modalities, model.embedding_space)
    voices = model.embed(["ann.wav", "bob.wav"])  # files, folders or arrays
    faces = model.embed("faces")
    print(model.similarity(voices, faces))  # cosines [2, N] of all pairs
    best = model.match(voices, faces).best  # [2] place of the nearest face
    print([faces.ids["image"][place] for place in best])

`tfav.layers`, `tfav.losses`, `tfav.keras`, `tfav.encoders` and `tfav.recipes` are there too.
Nothing is imported until it is used: `import tfav` takes no TensorFlow.
"""

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# bin/ and configs/ lie beside this folder in a clone, which need not be installed to run.
_CLONE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isfile(os.path.join(_CLONE, "bin", "cli.py")):
    __path__.append(_CLONE)

_PACKAGES = ("encoders", "keras", "layers", "losses", "recipes")

# Public name to where it lives.
_PUBLIC = {
    "Embeddings": "tfav.inference.model_results",
    "Model": "tfav.inference.model",
    "UserError": "tfav.registry",
    "load": "tfav.commands.load",
}
__all__ = ["__version__", *sorted([*_PACKAGES, *_PUBLIC])]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"tfav.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tfav' has no attribute {name!r}")
    found = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
