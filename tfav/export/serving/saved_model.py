"""SavedModels: whole, proven through the C++ loader, under the integer TensorFlow Serving wants."""

import collections
import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfav import files, folders, registry
from tfav.export import servable as servable_lib
from tfav.export.serving import fresh_process
from tfav.inference import artefacts

# Ops of compiled extras: a server without that extra cannot load the graph.
FOREIGN_OPS = ("IO>", "Addons>")
# Two runs of one graph; loose enough for a GPU's TF32 against a CPU, far below any lost weight.
_TOLERANCE = 1e-3


def write(servable: servable_lib.Servable, directory: str, version: int | str | None = None) -> str:
    """Writes a SavedModel as `directory/<version>`, proven before it gets that name, or not at all.

    Args:
      servable: what to serve.
      directory: the model's base folder, which a server may be watching.
      version: a positive integer; None: the one after the newest.

    Returns:
      The version folder.

    Raises:
      UserError: a version that is not an integer or exists, or a folder that cannot be written.
      ValueError: the SavedModel does not compute what `servable` does.
    """
    number = choose_version(directory, version)
    with staging(directory) as stage:
        path = os.path.join(stage, str(number))
        save(servable, path, servable.signatures())
        verify(servable, path)
        os.makedirs(directory, exist_ok=True)
        final = os.path.join(directory, str(number))
        os.rename(path, final)
    return final


def choose_version(directory: str, version: int | str | None = None) -> int:
    """Returns the version to write: `version` if it is free, else the one after the newest.

    Raises:
      UserError: `version` is not a positive integer, or is there already.
    """
    existing = artefacts.versions(directory)
    if version is None:
        return max(existing, default=0) + 1
    if not artefacts.is_version(str(version)) or int(version) < 1:
        raise registry.UserError(
            f"--version={version} is not a positive integer and TensorFlow Serving ignores such "
            f"folders: use --version={max(existing, default=0) + 1}, or leave it out."
        )
    if int(version) in existing:
        raise registry.UserError(
            f"{os.path.join(directory, str(int(version)))} exists: leave --version out to write "
            f"version {max(existing) + 1}, or delete that folder."
        )
    return int(version)


@contextlib.contextmanager
def staging(directory: str) -> Iterator[str]:
    """Yields a folder beside `directory`, on its file system and outside of it, gone afterwards.

    By a name that TensorFlow takes for no pattern.

    A server that watches `directory` sees nothing of what happens there. What killed exports to
    `directory` have left goes first (`tfav.folders.beside`).

    Raises:
      UserError: something could not be written.
    """
    try:
        with folders.beside(directory, hidden=True) as stage, files.plain_path(stage) as plain:
            yield plain
    except OSError as error:
        if "No space left on device" in str(error):
            raise registry.UserError(
                f"the disk is full: nothing was published to {directory}. Free some space, or "
                "export to another disk."
            ) from error
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            reason = "something else has taken that name: export again"
        else:
            reason = "free disk space, or export to a folder you may write to"
        raise registry.UserError(
            f"nothing was published to {directory}, it cannot be written ({error}): {reason}."
        ) from error


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Makes an OSError of what TensorFlow's own file writers raise, as on a full disk."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, error.message, path) from error


def save(servable: servable_lib.Servable, path: str, signatures: servable_lib.Functions) -> None:
    """Writes `servable` with `signatures` to the new folder `path`, its facts beside it.

    Raises:
      UserError: an encoder uses an op of a compiled extra.
      OSError: the folder cannot be written.
    """
    with writing(path):
        tf.saved_model.save(servable, path, signatures=signatures)
    foreign = [op for op in describe(path)["ops"] if op.startswith(FOREIGN_OPS)]
    if foreign:
        raise registry.UserError(
            f"an encoder uses the op {foreign[0]}, which no server has without the compiled extra: "
            "compute it with TensorFlow's own ops, or before the encoder."
        )
    hashes = {
        os.path.relpath(os.path.join(folder, name), path): files.sha256(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
    }
    text = artefacts.sealable({**servable.facts(), "files": hashes})
    os.makedirs(os.path.dirname(os.path.join(path, artefacts.FACTS_FILE)))
    with open(os.path.join(path, artefacts.FACTS_FILE), "wb") as f:
        f.write(artefacts.seal(text, text))


def verify(servable: servable_lib.Servable, path: str) -> None:
    """Runs every signature of a SavedModel in a fresh process through the C++ Session loader.

    Raises:
      UserError: that process was killed.
      ValueError: it failed, or its numbers are not those of `servable`.
    """
    examples = servable.examples()
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = os.path.join(folder, "inputs.npz"), os.path.join(folder, "outputs.npz")
        flat = {
            # NumPy drops zero bytes at the end of a string, and audio may end with some.
            f"{s}/{name}": np.array([f + b"." for f in x]) if x.dtype == object else x
            for s, arrays in examples.items()
            for name, x in arrays.items()
        }
        files.write_npz(inputs, flat)
        _run_fresh(path, inputs, outputs)
        with np.load(outputs) as file:
            served = {name: file[name] for name in file.files}
    for signature, function in servable.signatures().items():
        for name, value in function(**examples[signature]).items():
            answers = served[f"{signature}/{name}"].astype(np.float64)  # some are bool
            error = np.abs(answers - value.numpy()).max()
            if not error <= _TOLERANCE:
                raise ValueError(
                    f"the signature {signature} answers {name} {error:g} away from its own model"
                )


def describe(path: str) -> dict[str, Any]:
    """Returns `ops` (op type to count, functions included) and `signatures` of a SavedModel.

    A signature is {"inputs" and "outputs": {name: {"dtype", "shape" (None: any)}}}.
    """
    proto = saved_model_pb2.SavedModel()
    with open(os.path.join(path, "saved_model.pb"), "rb") as f:
        proto.ParseFromString(f.read())
    meta_graph = proto.meta_graphs[0]
    counts = collections.Counter(node.op for node in meta_graph.graph_def.node)
    for function in meta_graph.graph_def.library.function:
        counts.update(node.op for node in function.node_def)
    signatures = {
        name: {"inputs": _tensors(s.inputs), "outputs": _tensors(s.outputs)}
        for name, s in sorted(meta_graph.signature_def.items())
        if not name.startswith("__")  # TensorFlow's own initialiser
    }
    return {"ops": dict(sorted(counts.items())), "signatures": signatures}


def _tensors(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "dtype": tf.as_dtype(t.dtype).name,
            "shape": [None if d.size < 0 else d.size for d in t.tensor_shape.dim],
        }
        for name, t in sorted(tensors.items())
    }


def _run_fresh(path: str, inputs: str, outputs: str) -> None:
    status, errors = fresh_process.load(path, inputs, outputs)
    if status < 0:
        raise registry.UserError(
            f"the process that checks the SavedModel was killed (signal {-status}): "
            "free some memory and export again."
        )
    if status:
        raise ValueError(
            "the SavedModel does not run through the C++ Session loader of TensorFlow Serving:\n"
            + errors[-2000:]
        )
