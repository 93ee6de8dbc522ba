"""TFLite files: a signature each, builtin ops only, refused when the converter lost something."""

import collections
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from tfav import compat, folders, registry
from tfav.export import servable as servable_lib
from tfav.export.lite import calibration as calibration_lib
from tfav.export.lite import console, quantize
from tfav.export.lite import durations as ladder
from tfav.export.serving import saved_model
from tfav.inference import tflite_metadata

# Precision to bytes per weight of the network.
PRECISIONS = {"float32": 4, "float16": 2, "int8": 1, "int8_static": 1}

# A file below this share of its kernels' bytes has lost weights.
_SIZE_SHARE = 0.9


def write(
    servable: servable_lib.Servable,
    directory: str,
    *,
    audio_samples: int,
    precisions: Sequence[str] = ("float32", "float16"),
    durations: Sequence[float] = (),
    dynamic_time: bool = False,
    calibration: calibration_lib.Rows = (),
) -> dict[str, str]:
    """Writes `<modality>_<precision>.tflite` for every encoder and precision, facts inside.

    Of a recipe that classifies also `classifier_<precision>.tflite`.

    Args:
      servable: whose encoders.
      directory: an existing folder.
      audio_samples: length of the waveform a file takes.
      precisions: keys of `PRECISIONS`.
      durations: seconds; the file of sounds then has a signature each, such as `embed_audio_3s`,
        which share the weights.
      dynamic_time: the file of sounds takes any length.
      calibration: real inputs, for `int8_static`.

    Returns:
      File name to precision.

    Raises:
      UserError: an unknown precision, one that needs a package that is missing, or an encoder that
        TFLite's builtin ops cannot express.
      ValueError: a converted file that is not whole.
      OSError: `directory` cannot be written.
    """
    require(precisions)
    files = {}
    with folders.beside(os.path.join(directory, "fixed"), hidden=True) as stage:
        model = os.path.join(stage, "model")
        planned = ladder.files(servable, audio_samples, durations, dynamic_time)
        saved_model.save(
            servable, model, {n: f for each in planned.values() for n, f in each.items()}
        )
        for stem, functions in planned.items():
            names = list(functions)
            whole = convert(model, names, "float32")
            for precision in precisions:
                if precision in ("float32", "float16"):
                    content = whole if precision == "float32" else convert(model, names, precision)
                elif precision == "int8":
                    content = quantize.dynamic(whole)
                else:
                    content = _static(model, functions, whole, calibration)
                kernels = (
                    servable_lib.kernel_bytes(f, PRECISIONS[precision]) for f in functions.values()
                )
                check(content, names, max(kernels))
                if precision.startswith("int8"):
                    quantize.check(content)
                name = f"{stem}_{precision}.tflite"
                with open(os.path.join(directory, name), "wb") as f:
                    f.write(tflite_metadata.stamp(content, servable.facts()))
                files[name] = precision
    return files


def require(precisions: Sequence[str]) -> None:
    """Refuses a precision that is unknown, or that needs a package that is missing.

    Raises:
      UserError: that.
    """
    for precision in precisions:
        if precision not in PRECISIONS:
            raise registry.UserError(
                f"unknown precision {precision!r}: choose from {', '.join(PRECISIONS)}."
            )
    if "int8" in precisions:
        quantize.package()


def _static(
    model: str, functions: servable_lib.Functions, whole: bytes, rows: calibration_lib.Rows
) -> bytes:
    feeds = {name: list(calibration_lib.feeds(f, rows)) for name, f in functions.items()}
    for name, found in feeds.items():
        if not found:
            raise registry.UserError(
                f"no input of the train split to calibrate {name} on: give data that holds some, "
                "or leave int8_static out of --precisions."
            )
    if quantize.has_package():
        return quantize.static(whole, feeds)
    if len(feeds) > 1:
        raise registry.UserError(
            "int8_static of several lengths in one file needs ai-edge-quantizer: "
            "pip install 'tfav[quantize]', or leave --durations out."
        )
    ((name, found),) = feeds.items()
    return quantize.static_by_converter(_converter(model, [name]), lambda: iter(found))


def convert(saved_model_dir: str, signature_keys: list[str], precision: str) -> bytes:
    """Converts signatures of a SavedModel with builtin ops only.

    Args:
      saved_model_dir: a SavedModel whose signatures have batch 1.
      signature_keys: which of them go into the file.
      precision: `float32`, or `float16` for half the size; computes in float32 either way.

    Raises:
      UserError: an op that has no builtin form.
    """
    converter = _converter(saved_model_dir, signature_keys)
    if precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        with console.quiet():
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


def _converter(saved_model_dir: str, signature_keys: list[str]) -> tf.lite.TFLiteConverter:
    converter = tf.lite.TFLiteConverter.from_saved_model(
        saved_model_dir, signature_keys=signature_keys
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


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
    """Returns `ops` and `signatures` of a `.tflite`, in the form of `saved_model.describe`.

    And `op_versions` (op to the highest version asked for) and `min_runtime`, which the converter
    derives from them; empty where the file does not say.
    """
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
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    asked = collections.defaultdict(int)
    for code in model.operatorCodes:
        name = quantize.op_name(code)
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
