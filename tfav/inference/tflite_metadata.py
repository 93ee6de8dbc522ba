"""What a `.tflite` says of itself beside its signatures, in its metadata `tfav`."""

import json
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated
from tensorflow.lite.tools import flatbuffer_utils

# Of the buffer in a file that holds its facts.
_FACTS_NAME = "tfav"


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
    found = metadata(model, _FACTS_NAME)
    if found is None:
        raise ValueError("another tool or an older tfav made it")
    return json.loads(found)


def metadata(model: Any, name: str) -> bytes | None:
    """Returns an entry of the metadata of an unpacked file; None where it has none."""
    for entry in model.metadata or ():
        if entry.name == name.encode():
            return bytes(model.buffers[entry.buffer].data)
    return None
