"""Runs every signature of a SavedModel in a process of its own, loaded as TensorFlow Serving does.

Called as `python -m tfav.export.serving.session_loader`, reads one JSON line per request,
`[MODEL, INPUTS.npz, OUTPUTS.npz, STDERR]`, answers each in a fork, and prints its exit status.
Arrays are named `signature/tensor`. Python's `tf.saved_model.load` finds weights that the C++
loader does not, so only this proves a SavedModel. Its warm-up requests are answered too, as that
server will.
"""

import json
import os
import sys
import traceback

import numpy as np
import tensorflow as tf

from tfav import files
from tfav.export.serving import warmup


def run(model: str, inputs: str, outputs: str) -> None:
    """Loads `model`, feeds it the arrays of `inputs` and writes what comes out to `outputs`.

    Raises:
      ValueError: a warm-up request for a signature or with an input that is not there, or that
        gets an answer that is not finite.
    """
    with np.load(inputs) as file:
        feeds = {name: file[name] for name in file.files}
    requests = list(warmup.read(model))
    results = {}
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], model)

        def answer(signature: str, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            definition = meta_graph.signature_def[signature]
            if values.keys() != definition.inputs.keys():
                raise ValueError(f"{signature} takes {sorted(definition.inputs)}")
            feed = {definition.inputs[name].name: value for name, value in values.items()}
            return session.run({n: t.name for n, t in definition.outputs.items()}, feed)

        for signature in sorted({name.split("/")[0] for name in feeds}):
            values = {}
            for name in meta_graph.signature_def[signature].inputs:
                value = feeds[f"{signature}/{name}"]
                if value.dtype.kind == "S":  # each behind it a byte that is not part of it
                    value = np.array([one[:-1] for one in value], object)
                values[name] = value
            for name, value in answer(signature, values).items():
                results[f"{signature}/{name}"] = value
        for signature, request in requests:
            values = {name: tf.make_ndarray(value) for name, value in request.items()}
            for name, value in answer(signature, values).items():
                if not np.isfinite(value).all():
                    raise ValueError(f"warm-up: {signature} answers {name} that is not finite")
    files.write_npz(outputs, results)


def _child(model: str, inputs: str, outputs: str, errors: str) -> int:
    file = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, sys.stderr.fileno())
    try:
        run(model, inputs, outputs)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    return 0


def serve() -> None:
    """Answers every request on the standard input in a fork, until that is closed."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(_child(*json.loads(line)))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
