"""What a `.tflite` holds: the ops of its graph by name, and what no 8-bit file may hold."""

import collections
from collections.abc import Mapping
from typing import Any

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

_OPS = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
# None of what these read may be of 8 bits: they belong to front-ends.
_SPECTRAL = ("RFFT2D", "REAL", "IMAG", "COMPLEX_ABS", "LOG")
_INT8 = schema.TensorType.INT8


def op_name(code: Any) -> str:
    """Returns the name of an operator code of a file, such as `CONV_2D`."""
    return _OPS[max(code.builtinCode, code.deprecatedBuiltinCode)]


def ops(content: bytes) -> list[tuple[str, str]]:
    """Returns (name of its first output, op) of every op of the first subgraph."""
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    graph = model.subgraphs[0]
    return [
        (_tensor_name(graph.tensors[op.outputs[0]]), op_name(model.operatorCodes[op.opcodeIndex]))
        for op in graph.operators
    ]


def check_quantized(content: bytes) -> None:
    """Refuses an 8-bit file that answers nonsense on some runtime, or everywhere.

    Raises:
      ValueError: an 8-bit tensor in the front-end, a dense layer with a scale a channel, or no
        8-bit weight at all.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    num_quantized = 0
    for graph in model.subgraphs:
        makers = {out: op for op in graph.operators for out in op.outputs}
        for op in graph.operators:
            name = op_name(model.operatorCodes[op.opcodeIndex])
            read = [graph.tensors[i] for i in op.inputs if i >= 0]
            num_quantized += any(t.type == _INT8 for t in read)
            if name == "FULLY_CONNECTED" and read[1].type == _INT8 and _num_scales(read[1]) > 1:
                raise ValueError(
                    f"the dense layer {_tensor_name(read[1])} has a scale a channel, which old "
                    "runtimes misread"
                )
            if name in _SPECTRAL:
                for tensor in _behind(graph, makers, op):
                    if tensor.type == _INT8:
                        raise ValueError(f"the front-end's {_tensor_name(tensor)} is of 8 bits")
    if not num_quantized:
        raise ValueError("no op of the network is of 8 bits: its ops have lost their scopes")


def _behind(graph: Any, makers: Mapping[int, Any], op: Any) -> list[Any]:
    """Returns every tensor that the op's result comes from."""
    waiting = collections.deque(op.inputs)
    seen: set[int] = set()
    while waiting:
        number = waiting.popleft()
        if number >= 0 and number not in seen:
            seen.add(number)
            waiting.extend(makers[number].inputs if number in makers else ())
    return [graph.tensors[number] for number in seen]


def _num_scales(tensor: Any) -> int:
    scale = None if tensor.quantization is None else tensor.quantization.scale
    return 0 if scale is None else len(scale)


def _tensor_name(tensor: Any) -> str:
    return tensor.name.decode()
