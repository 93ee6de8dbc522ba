"""The map of the house: the only package that knows everything, and where a config stops.

Each function named here is one binary's work.
"""

from tfav.build.judging import evaluate, evaluate_released
from tfav.build.models import model, trained
from tfav.build.shipping import embed, export
from tfav.build.showing import make_report
from tfav.build.training import train

__all__ = [
    "embed",
    "evaluate",
    "evaluate_released",
    "export",
    "make_report",
    "model",
    "train",
    "trained",
]
