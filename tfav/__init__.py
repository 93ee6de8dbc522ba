"""tfav: sound and sight in one embedding space, in TensorFlow."""

import importlib.util
import os

# bin/ and configs/ lie beside this folder in a clone, which need not be installed to run.
_CLONE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isfile(os.path.join(_CLONE, "bin", "cli.py")):
    __path__.append(_CLONE)

if importlib.util.find_spec("tensorflow") is None:
    raise ImportError(
        "tfav needs TensorFlow and this environment has none: install one line of it, "
        "pip install 'tfav[cpu]' or 'tfav[gpu]' (TensorFlow 2.21), or 'tfav[addons-cpu]' "
        "(TensorFlow 2.15 with tensorflow-addons and tensorflow-io, in an environment of its own)."
    )
