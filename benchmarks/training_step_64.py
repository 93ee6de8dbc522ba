"""The step of the paper at batch 64: a quarter of an hour, so it runs only where it is named."""

from benchmarks import timing, training_step


def rows() -> list[timing.Row]:
    """Returns a row per type."""
    return training_step.rows(64)
