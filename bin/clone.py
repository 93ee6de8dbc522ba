"""Lets `python bin/x.py` run in a clone that is not installed, from any directory.

A binary that runs as a file imports this first. Where a package is missing, it says how to install.
"""

import importlib.util
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What the first lines of the binaries and of the library import.
_FIRST = ("absl", "ml_collections", "numpy", "tensorflow")

_missing = [name for name in _FIRST if importlib.util.find_spec(name) is None]
if _missing:
    sys.stderr.write(
        f"error: {_missing[0]} is not installed in {sys.prefix}: run `make install` in {ROOT} and "
        f"then {ROOT}/.venv/bin/python, or `pip install -e '{ROOT}[cpu]'`.\n"
    )
    sys.exit(2)
if importlib.util.find_spec("tfav") is None:
    sys.path.append(ROOT)
    # For the processes that a binary starts, such as those of tfav-compare.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), ROOT]))
