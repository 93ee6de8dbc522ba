"""Measures each subject in a process of its own: they differ in TensorFlow's threads."""

import concurrent.futures
import importlib
import multiprocessing

from benchmarks import timing


def measured(name: str) -> tuple[list[timing.Row], list[timing.Scale]]:
    """Returns the rows and the scales of the subject of that name."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(_measure, name).result()


def _measure(name: str) -> tuple[list[timing.Row], list[timing.Scale]]:
    subject = importlib.import_module(f"benchmarks.{name}")
    return subject.rows(), subject.scales() if hasattr(subject, "scales") else []
