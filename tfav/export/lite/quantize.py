"""8-bit forms of a `.tflite`: of the network alone, the front-end and what goes in and out float.

Power spectra span eight decades: whole-graph conversion succeeds and answers nonsense. What may be
touched is told by the scopes that encoders give their ops (`encoders.encoder`). Dense layers get
one scale per tensor: runtimes of 2023 read a dense layer with one per channel without a word, and
wrongly.
"""

import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import convert
from tensorflow.lite.tools import flatbuffer_utils

from tfav import registry
from tfav.encoders import encoder
from tfav.export.lite import console, inspection

# Whether a tensor's first name, the op's own, lies in the scope; the others are what was fused.
# Recipes that read the feature map enter the scope themselves: nothing is before it then.
_MAP = rf"^([^;]*/)?{encoder.NETWORK}(_\d+)?/"
_NETWORK = rf"^([^;]*/)?({encoder.NETWORK}|{encoder.POOLING})(_\d+)?/"

# Signature to inputs of it, by name.
Feeds = Mapping[str, Iterable[dict[str, np.ndarray]]]


def has_package() -> bool:
    """Says whether ai-edge-quantizer can be imported."""
    try:
        package()
    except registry.UserError:
        return False
    return True


def package() -> types.ModuleType:
    """Imports ai-edge-quantizer, an optional extra.

    Raises:
      UserError: it cannot be.
    """
    try:
        from ai_edge_quantizer import quantizer
    except ImportError as error:
        raise registry.UserError(
            f"--precisions=int8 needs ai-edge-quantizer, which cannot be imported ({error}): "
            "pip install 'tfav[quantize]', or leave int8 out."
        ) from error
    return quantizer


def dynamic(content: bytes) -> bytes:
    """Returns a float `.tflite` with 8-bit weights in the network; activations stay float.

    Raises:
      UserError: ai-edge-quantizer is missing.
    """
    recipe = [_entry(_NETWORK, "*", "CHANNELWISE"), _entry(_NETWORK, "FULLY_CONNECTED")]
    return _with_package(content, recipe, None)


def static(content: bytes, feeds: Feeds) -> bytes:
    """Returns a float `.tflite` with 8-bit weights and activations up to the feature map.

    Of what follows only dense layers are of 8 bits: means, deviations and softmaxes over few
    positions lose more than they save.

    Args:
      content: Content of the file.
      feeds: what the ranges of activations are measured on.

    Raises:
      UserError: ai-edge-quantizer is missing.
    """
    recipe = [
        _entry(_MAP, "*", "CHANNELWISE", activations=True),
        _entry(_NETWORK, "FULLY_CONNECTED", activations=True),
    ]
    return _with_package(content, recipe, feeds)


def static_by_converter(
    converter: tf.lite.TFLiteConverter,
    feed: Callable[[], Iterable[dict[str, np.ndarray]]],
) -> bytes:
    """Returns what `static` does, by TensorFlow's own means, of a file with one signature.

    Args:
      converter: Converter of that signature, builtin ops only.
      feed: what the ranges of activations are measured on, each time it is called.
    """
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = feed
    converter._experimental_calibrate_only = True
    # TensorFlow 2.15 gives dense layers one scale anyhow, and knows no switch for that.
    switch = "disable_per_channel_for_dense_layers"
    options = (
        {switch: True} if switch in inspect.signature(convert.mlir_quantize).parameters else {}
    )
    with console.quiet():
        # What tf.lite.experimental.QuantizationDebugger does, which has no such switch.
        measured = converter.convert()
        # Not the float file's names, of which some differ: a name that is not found denies nothing.
        found = [(name, op, _is_static(name, op)) for name, op in inspection.ops(measured)]
        kept = {op for _, op, static in found if static}
        return convert.mlir_quantize(
            measured,
            denylisted_nodes=[name for name, _, static in found if not static],
            # Ops of several outputs, such as SPLIT, go by names that a file does not tell.
            denylisted_ops=sorted({op for _, op, _ in found} - kept),
            **options,
        )


def _entry(
    regex: str, operation: str, granularity: str = "TENSORWISE", activations: bool = False
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "weight_tensor_config": {
            "num_bits": 8,
            "symmetric": True,
            "granularity": granularity,
            "dtype": "INT",
        },
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
        "skip_checks": False,
        "min_weight_elements": 0,
    }
    if activations:
        config["activation_tensor_config"] = {
            "num_bits": 8,
            "symmetric": False,
            "granularity": "TENSORWISE",
            "dtype": "INT",
        }
    return {
        "regex": regex,
        "operation": operation,
        "algorithm_key": "min_max_uniform_quantize",
        "op_config": config,
    }


def _with_package(content: bytes, recipe: list[dict[str, Any]], feeds: Feeds | None) -> bytes:
    with console.quiet():
        worker = package().Quantizer(bytearray(content), recipe)
        ranges = None if feeds is None else _ranges(worker, feeds)
        return _inlined(bytes(worker.quantize(ranges).quantized_model))


def _ranges(worker: Any, feeds: Feeds) -> dict[str, dict[str, np.ndarray]]:
    """Returns the least and the greatest value of every tensor over all inputs.

    Given all inputs at once, the package returns moving averages instead, and what lies beyond them
    is clipped: that turned embeddings by ten times as much.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for signature, rows in feeds.items():
        for row in rows:
            for name, one in worker.calibrate({signature: [row]}, num_threads=1).items():
                known = found.setdefault(name, one)
                found[name] = {
                    "min": np.minimum(known["min"], one["min"]),
                    "max": np.maximum(known["max"], one["max"]),
                }
    return found


def _inlined(content: bytes) -> bytes:
    """Returns a file with its weights inside the tables, not behind them at offsets.

    So the package writes them; whoever packs the tables anew, as `tflite_metadata.stamp` does,
    would lose them, and runtimes before 2.14 know no offsets.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 say that there is nothing behind the tables
            end = buffer.offset + buffer.size
            buffer.data = np.frombuffer(content[buffer.offset : end], np.uint8)
            buffer.offset = buffer.size = 0
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _is_static(name: str, op: str) -> bool:
    return bool(re.search(_NETWORK if op == "FULLY_CONNECTED" else _MAP, name))
