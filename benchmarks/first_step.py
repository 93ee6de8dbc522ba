"""How long the paper's model takes to be built, traced and run once, TensorFlow loaded."""

import statistics
import subprocess
import sys

from benchmarks import timing, training_step

MOST_SECONDS = 10.0
BATCH_SIZE = 16
_MEASURE = """
import time
from benchmarks import step
import tensorflow as tf
start = time.perf_counter()
step.Step({config!r}, {batch_size}, {seconds}, {classes}, dtype={dtype!r}).runner()()
print(time.perf_counter() - start)
"""


def rows(count: int = timing.ROUNDS) -> list[timing.Row]:
    """Returns a row per type: the median of fresh processes, against ten seconds."""
    found = []
    for dtype in ("float32", "mixed_bfloat16"):
        code = _MEASURE.format(
            config=training_step.CONFIG,
            batch_size=BATCH_SIZE,
            seconds=training_step.SECONDS,
            classes=training_step.CLASSES,
            dtype=dtype,
        )
        seconds = []
        for _ in range(count):
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            seconds.append(float(done.stdout.split()[-1]))
        own = 1e3 * statistics.median(seconds)
        goal = {"goal, 10 s": 1e3 * MOST_SECONDS}
        found.append(
            timing.Row(
                f"build, trace and first step, {dtype}",
                f"IR-50 and thin SE-ResNet-34, batch {BATCH_SIZE}",
                own,
                goal,
                {name: own / most for name, most in goal.items()},
                dict.fromkeys(goal, 1.0),
            )
        )
    return found
