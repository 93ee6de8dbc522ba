"""From a SavedModel to the bytes of a `.tflite`: builtin ops only, nothing lost."""

import collections
import gc
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import conversion_metadata_schema_py_generated, lite
from tensorflow.lite.tools import flatbuffer_utils

from tfav import compat, registry
from tfav.export.lite import console, inspection
from tfav.inference import interpreter as interpreters
from tfav.inference import tflite_metadata

# A file below this share of its kernels' bytes has lost weights.
_SIZE_SHARE = 0.9


def convert(saved_model_dir: str, signature_keys: list[str], half: bool = False) -> bytes:
    """Converts signatures of a SavedModel with builtin ops only.

    Args:
      saved_model_dir: a SavedModel whose signatures have batch 1.
      signature_keys: which of them go into the file.
      half: keep weights as float16, which halves the file; it computes in float32 either way.

    Raises:
      UserError: an op that has no builtin form.
    """
    made = converter(saved_model_dir, signature_keys)
    if half:
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.target_spec.supported_types = [tf.float16]
    # The converter collects garbage each time; what was there before it need not be looked at.
    gc.freeze()
    try:
        with console.quiet():
            return made.convert()
    except Exception as error:  # the converter's own class moves between versions
        if type(error).__name__ != "ConverterError":
            raise
        lines = [line for line in str(error).splitlines() if "op is neither" in line]
        reason = (lines or str(error).splitlines() or [""])[0]
        raise registry.UserError(
            f"{', '.join(signature_keys)} does not convert to TFLite with builtin ops ({reason}): "
            "replace that op in the encoder."
        ) from error
    finally:
        gc.unfreeze()


def converter(saved_model_dir: str, signature_keys: list[str]) -> tf.lite.TFLiteConverter:
    """Returns the converter of signatures of a SavedModel, to builtin ops only."""
    if compat.KERAS_3:
        # What the public call does, without the loading that `convert` of TensorFlow 2.21 repeats.
        kind = conversion_metadata_schema_py_generated.ModelType.TF_SAVED_MODEL
        lite.TFLiteConverterBase._set_original_model_type(kind)
        tags = {tf.saved_model.SERVING}
        made = lite.TFLiteSavedModelConverterV2(saved_model_dir, tags, signature_keys)
    else:
        made = tf.lite.TFLiteConverter.from_saved_model(saved_model_dir, signature_keys)
    made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return made


def kernel_bytes(
    signature: tf.types.experimental.ConcreteFunction, bytes_per_value: float
) -> float:
    """Returns the bytes of the kernels that a signature reads: what no converter can fold away.

    Args:
      signature: one of a `servable.Servable`.
      bytes_per_value: 4 for float32, 2 for float16.
    """
    shapes = [v.shape for v in signature.variables if len(v.shape) >= 2]
    return sum(bytes_per_value * shape.num_elements() for shape in shapes)


def check(content: bytes, signature_keys: list[str], needed: float) -> None:
    """Refuses a file that would load and answer nonsense.

    Args:
      content: Content of a `.tflite`.
      signature_keys: names it must offer.
      needed: bytes of its kernels at this precision, see `kernel_bytes`.

    Raises:
      ValueError: weights left outside (of which the converter says nothing), an op that a plain
        runtime lacks, or a signature that is missing.
    """
    found = describe(content)
    outside = [
        op for op in found["ops"] if op in ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
    ]
    if outside or len(content) < _SIZE_SHARE * needed:
        raise ValueError(
            f"the .tflite of {signature_keys} holds {len(content)} bytes and its kernels need "
            f"{needed} ({', '.join(outside) or 'no variable ops'}): weights are not tracked"
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
    """Returns `ops` and `signatures` of a `.tflite`, in the form of `saved_model.describe`.

    And `op_versions` (op to the highest version asked for) and `min_runtime`, which the converter
    derives from them; empty where the file does not say.
    """
    interpreter = interpreters.make(content=content)
    # No public call lists the ops; this one is the same in both dependency sets. Asked before
    # tensors are allocated, it lists the file's own ops and none of a delegate's.
    counts = collections.Counter(op["op_name"] for op in interpreter._get_ops_details())
    signatures = {}
    for name in sorted(interpreter.get_signature_list()):
        runner = interpreter.get_signature_runner(name)
        signatures[name] = {
            "inputs": _tensors(runner.get_input_details()),
            "outputs": _tensors(runner.get_output_details()),
        }
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    asked: dict[str, int] = collections.defaultdict(int)
    for code in model.operatorCodes:
        name = inspection.op_name(code)
        asked[name] = max(asked[name], code.version)
    runtime = tflite_metadata.metadata(model, "min_runtime_version") or b""
    return {
        "ops": dict(sorted(counts.items())),
        "op_versions": dict(sorted(asked.items())),
        "min_runtime": runtime.rstrip(b"\0").decode(),
        "signatures": signatures,
    }


def _tensors(details: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "dtype": np.dtype(t["dtype"]).name,
            "shape": [None if d < 0 else int(d) for d in t["shape_signature"]],
        }
        for name, t in sorted(details.items())
    }
