"""Runs every signature of a SavedModel in a process of its own, loaded as TensorFlow Serving does.

`python -m tfav.export.session_loader MODEL INPUTS.npz OUTPUTS.npz`; arrays are named
`signature/tensor`. Python's `tf.saved_model.load` finds weights that the C++ loader does not, so
only this proves a SavedModel.
"""

import sys

import numpy as np
import tensorflow as tf


def run(model: str, inputs: str, outputs: str) -> None:
    """Loads `model`, feeds it the arrays of `inputs` and writes what comes out to `outputs`."""
    with np.load(inputs) as file:
        feeds = {name: file[name] for name in file.files}
    results = {}
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], model)
        for signature in sorted({name.split("/")[0] for name in feeds}):
            definition = meta_graph.signature_def[signature]
            feed = {}
            for name, tensor in definition.inputs.items():
                value = feeds[f"{signature}/{name}"]
                feed[tensor.name] = value.astype(object) if value.dtype.kind == "S" else value
            fetches = {name: tensor.name for name, tensor in definition.outputs.items()}
            for name, value in session.run(fetches, feed).items():
                results[f"{signature}/{name}"] = value
    np.savez(outputs, **results)


if __name__ == "__main__":
    run(*sys.argv[1:])
