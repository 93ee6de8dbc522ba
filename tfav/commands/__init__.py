"""The map of the house: the only package that knows everything, and where a config stops.

Each function named here is one binary's work.
"""

from tfav.commands.judging import evaluate, evaluate_released
from tfav.commands.models import model, trained
from tfav.commands.shipping import embed, export
from tfav.commands.showing import make_report
from tfav.commands.training import train

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
