"""TFLite files: a signature each, builtin ops only, refused when the converter lost something."""

import collections
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated
from tensorflow.lite.tools import flatbuffer_utils

from tfav import compat, registry
from tfav.data import staging
from tfav.export import saved_model
from tfav.export import servable as servable_lib

# Precision to bytes per weight.
PRECISIONS = {"float32": 4, "float16": 2}

# Of the buffer in a file that holds its facts.
_FACTS_NAME = "tfav"

# A file below this share of its kernels' bytes has lost weights.
_SIZE_SHARE = 0.9


def write(
    servable: servable_lib.Servable,
    directory: str,
    *,
    audio_samples: int,
    precisions: tuple[str, ...] = ("float32", "float16"),
) -> dict[str, str]:
    """Writes `<modality>_<precision>.tflite` for every encoder and precision, facts inside.

    Of a recipe that classifies also `classifier_<precision>.tflite`.

    Args:
      servable: whose encoders.
      directory: an existing folder.
      audio_samples: length of the waveform a file takes.
      precisions: keys of `PRECISIONS`.

    Returns:
      File name to precision.

    Raises:
      UserError: an unknown precision, or an encoder that TFLite's builtin ops cannot express.
      ValueError: a converted file that is not whole.
      OSError: `directory` cannot be written.
    """
    for precision in precisions:
        if precision not in PRECISIONS:
            raise registry.UserError(
                f"unknown precision {precision!r}: choose from {', '.join(PRECISIONS)}."
            )
    files = {}
    with staging.beside(os.path.join(directory, "fixed"), hidden=True) as stage:
        model = os.path.join(stage, "model")
        signatures = servable.fixed_signatures(audio_samples)
        saved_model.save(servable, model, signatures)
        for signature, function in signatures.items():
            stem, facts = signature.removeprefix("embed_"), servable.facts()
            if signature == "classify":
                stem = "classifier"
            for precision in precisions:
                content = stamp(convert(model, [signature], precision), facts)
                expected = servable_lib.kernel_bytes(function, PRECISIONS[precision])
                check(content, [signature], expected)
                name = f"{stem}_{precision}.tflite"
                with open(os.path.join(directory, name), "wb") as f:
                    f.write(content)
                files[name] = precision
    return files


def convert(saved_model_dir: str, signature_keys: list[str], precision: str) -> bytes:
    """Converts signatures of a SavedModel with builtin ops only.

    Args:
      saved_model_dir: a SavedModel whose signatures have fixed shapes.
      signature_keys: which of them go into the file.
      precision: `float32`, or `float16` for half the size; computes in float32 either way.

    Raises:
      UserError: an op that has no builtin form.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(
        saved_model_dir, signature_keys=signature_keys
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        with _quiet():
            return converter.convert()
    except Exception as error:  # the converter's own class moves between versions
        if type(error).__name__ != "ConverterError":
            raise
        lines = [line for line in str(error).splitlines() if "op is neither" in line]
        reason = (lines or str(error).splitlines() or [""])[0]
        raise registry.UserError(
            f"{', '.join(signature_keys)} does not convert to TFLite with builtin ops ({reason}): "
            "replace that op in the encoder."
        ) from error


def stamp(content: bytes, facts: dict[str, Any]) -> bytes:
    """Returns a `.tflite` that holds `facts` as well, in the metadata `tfav`."""
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    buffer, entry = schema_py_generated.BufferT(), schema_py_generated.MetadataT()
    buffer.data = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    entry.name, entry.buffer = _FACTS_NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def read_facts(content: bytes) -> dict[str, Any]:
    """Returns what `stamp` wrote into a `.tflite`.

    Raises:
      ValueError: it holds no facts, or was cut short. TensorFlow 2.15's interpreter crashes on
        such a file, so this comes first.
    """
    try:
        # Visits every table and buffer.
        model = schema_py_generated.ModelT.InitFromPackedBuf(content, 0)
    except Exception as error:  # whatever reading past the end of damaged tables leads to
        raise ValueError(f"its {len(content)} bytes are not all there") from error
    for entry in model.metadata or ():
        if entry.name == _FACTS_NAME.encode():
            return json.loads(bytes(model.buffers[entry.buffer].data))
    raise ValueError("another tool or an older tfav made it")


def check(content: bytes, signature_keys: list[str], kernel_bytes: int) -> None:
    """Refuses a file that would load and answer nonsense.

    Args:
      content: of a `.tflite`.
      signature_keys: names it must offer.
      kernel_bytes: what its kernels need at this precision.

    Raises:
      ValueError: weights left outside (of which the converter says nothing), an op that a plain
        runtime lacks, or a signature that is missing.
    """
    found = describe(content)
    outside = [
        op for op in found["ops"] if op in ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
    ]
    if outside or len(content) < _SIZE_SHARE * kernel_bytes:
        raise ValueError(
            f"the .tflite of {signature_keys} holds {len(content)} bytes and its kernels need "
            f"{kernel_bytes} ({', '.join(outside) or 'no variable ops'}): weights are not tracked"
        )
    extra = [op for op in found["ops"] if op.startswith("Flex") or op != op.upper()]
    if extra:
        raise ValueError(
            f"the .tflite of {signature_keys} needs the op {extra[0]}, which is not builtin"
        )
    missing = set(signature_keys) - set(found["signatures"])
    if missing:
        raise ValueError(f"the .tflite offers no signature {missing.pop()}")


def describe(content: bytes) -> dict[str, Any]:
    """Returns `ops` and `signatures` of a `.tflite`, in the form of `saved_model.describe`."""
    interpreter = compat.lite_interpreter(content=content)
    # No public call lists the ops; this one is the same on both lines. Asked before tensors are
    # allocated, it lists the file's own ops and none of a delegate's.
    counts = collections.Counter(op["op_name"] for op in interpreter._get_ops_details())
    signatures = {}
    for name in sorted(interpreter.get_signature_list()):
        runner = interpreter.get_signature_runner(name)
        signatures[name] = {
            "inputs": _tensors(runner.get_input_details()),
            "outputs": _tensors(runner.get_output_details()),
        }
    return {"ops": dict(sorted(counts.items())), "signatures": signatures}


def _tensors(details: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "dtype": np.dtype(t["dtype"]).name,
            "shape": [None if d < 0 else int(d) for d in t["shape_signature"]],
        }
        for name, t in sorted(details.items())
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back what the converter's C++ writes to the console; shows it if the block fails."""
    sys.stderr.flush()
    console = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(console, kept.read())
            raise
        finally:
            os.dup2(console, 2)
            os.close(console)
