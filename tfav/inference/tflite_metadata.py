"""What a `.tflite` says of itself beside its signatures, in its metadata `tfav`."""

import json
import types
from typing import Any

import numpy as np

from tfav.inference import artefacts

# Of the buffer in a file that holds its facts.
_FACTS_NAME = "tfav"


def schema() -> types.ModuleType:
    """Returns the classes of the format's tables: LiteRT's, or TensorFlow's where that lacks."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated


def stamp(content: bytes, facts: dict[str, Any]) -> bytes:
    """Returns a `.tflite` that holds `facts` as well, in the metadata `tfav`, sealed."""
    from tensorflow.lite.tools import flatbuffer_utils

    made = flatbuffer_utils.schema_fb
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    buffer, entry = made.BufferT(), made.MetadataT()
    text = artefacts.sealable(facts)
    buffer.data = np.frombuffer(text, np.uint8)
    entry.name, entry.buffer = _FACTS_NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    return artefacts.seal(bytes(flatbuffer_utils.convert_object_to_bytearray(model)), text)


def read_facts(content: bytes) -> dict[str, Any]:
    """Returns what `stamp` wrote into a `.tflite`, once every byte of it is known to be there.

    Raises:
      ValueError: it holds no facts, was cut short, or has changed. TensorFlow 2.15's interpreter
        crashes on such a file, so this comes first.
    """
    tables = schema()
    try:
        text = _metadata(tables.Model.GetRootAs(content, 0), _FACTS_NAME)
    except Exception as error:  # whatever reading past the end of damaged tables leads to
        raise ValueError(f"its {len(content)} bytes are not all there") from error
    if text is None:
        raise ValueError("another tool or an older tfav made it")
    facts = json.loads(text)
    if artefacts.sealed(facts):
        artefacts.check_seal(content, text, facts)
        return facts
    try:
        # Older files have no seal: visits every table and buffer.
        tables.ModelT.InitFromPackedBuf(content, 0)
    except Exception as error:
        raise ValueError(f"its {len(content)} bytes are not all there") from error
    return facts


def _metadata(model: Any, name: str) -> bytes | None:
    for place in range(model.MetadataLength()):
        entry = model.Metadata(place)
        if entry.Name() == name.encode():
            return model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    return None


def metadata(model: Any, name: str) -> bytes | None:
    """Returns an entry of the metadata of an unpacked file; None where it has none."""
    for entry in model.metadata or ():
        if entry.name == name.encode():
            return bytes(model.buffers[entry.buffer].data)
    return None
