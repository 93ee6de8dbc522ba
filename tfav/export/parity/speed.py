"""How fast a `.tflite` runs here, on one thread, and by what."""

import time
from typing import Any

import numpy as np

from tfav import tensors
from tfav.inference import artefacts, tflite_metadata
from tfav.inference import interpreter as interpreters

_SECONDS = 0.1  # measured so long each
_MIN_RUNS = 5


def measure(content: bytes) -> dict[str, Any]:
    """Times every signature on made-up inputs.

    A clip of any length is taken to have 3 s. The first calls are not counted.

    Args:
      content: Content of a `.tflite`, with its facts.

    Returns:
      `interpreter` (name and version), `milliseconds` (signature to the least of several runs) and
      `partitions` (parts of the graph that a delegate, here XNNPACK, took over; None where that
      is not known: TensorFlow 2.15 does not tell, others only of the first signature).
    """
    specs = artefacts.parse_facts(tflite_metadata.read_facts(content)).items.values()
    interpreter = interpreters.make(content=content)
    names = sorted(interpreter.get_signature_list())
    random = np.random.default_rng(0)
    milliseconds = {}
    for name in names:
        runner = interpreter.get_signature_runner(name)
        shapes = {n: t["shape_signature"].tolist() for n, t in runner.get_input_details().items()}
        inputs = {}
        for spec in specs:
            if spec.tensor in shapes:
                shape = [d if d > 0 else 3 * tensors.SAMPLE_RATE_HZ for d in shapes[spec.tensor]]
                if np.issubdtype(np.dtype(spec.dtype), np.integer):
                    inputs[spec.tensor] = random.integers(0, 256, shape, spec.dtype)
                else:
                    inputs[spec.tensor] = random.uniform(-0.3, 0.3, shape).astype(spec.dtype)
                if spec.length:
                    inputs[spec.length] = np.array([shape[1]], np.int32)
        milliseconds[name] = round(1e3 * _least(runner, inputs), 4)
    delegated = sum(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())
    return {
        "interpreter": interpreters.name(interpreter),
        "milliseconds": milliseconds,
        "partitions": (delegated or None) if len(names) == 1 else None,
    }


def _least(runner: Any, inputs: dict[str, np.ndarray]) -> float:
    interpreters.run(runner, inputs)  # the first call packs weights
    runs: list[float] = []
    while len(runs) < _MIN_RUNS or sum(runs) < _SECONDS:
        start = time.perf_counter()
        runner(**inputs)
        runs.append(time.perf_counter() - start)
    return min(runs)
