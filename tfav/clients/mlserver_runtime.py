"""MLServer (KServe v2) runtime for the SavedModel of an export of tfav.

    python -m tfav.clients.mlserver_runtime --export=exports/voice_face --name=voice_face \
      --output=serve
    mlserver start serve

The first writes `serve/model-settings.json` and puts this file beside it:

    {
      "name": "voice_face",
      "implementation": "mlserver_runtime.SavedModelRuntime",
      "parameters": {"uri": "/models/exports/voice_face", "extra": {"signature": "embed_wav"}}
    }

`uri` is the export, whose newest version is served, or one version. A request names its signature
in its parameters, {"parameters": {"signature": "embed_jpeg"}}; without, it gets that of `extra`,
else `serving_default`, whose inputs and outputs the metadata describes. The parameter `signatures`
of the metadata lists all. Bytes go by REST as base64 strings of datatype BYTES, by gRPC as they
are. What cannot be embedded is HTTP 400, by gRPC INVALID_ARGUMENT, with a sentence.

Needs mlserver and TensorFlow.
"""

import argparse
import asyncio
import base64
import binascii
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from mlserver import MLModel
from mlserver.errors import MLServerError
from mlserver.types import (
    Datatype,
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataTensor,
    Parameters,
    RequestInput,
    ResponseOutput,
)
from mlserver.utils import get_model_uri

DATATYPES = {
    tf.float32: "FP32",
    tf.int32: "INT32",
    tf.int64: "INT64",
    tf.uint8: "UINT8",
    tf.bool: "BOOL",
    tf.string: "BYTES",
}


class SavedModelRuntime(MLModel):
    """Serves the signatures of a SavedModel."""

    async def load(self) -> bool:
        """Loads the model and fills its metadata."""
        path = newest(await get_model_uri(self._settings))
        # The module owns the weights: signatures alone would let them go.
        self._model = await asyncio.to_thread(tf.saved_model.load, path)
        extra = self._settings.parameters.extra or {}
        self._default = extra.get("signature", "serving_default")
        function = self._function(self._default)
        self.inputs = _described(_specs(function))
        self.outputs = _described(function.structured_outputs)
        self._settings.platform = "tensorflow_savedmodel"
        self._settings.versions = [os.path.basename(path)]
        return True

    async def metadata(self) -> MetadataModelResponse:
        """Returns the metadata, with the names of all signatures."""
        found = await super().metadata()
        found.parameters = Parameters(signatures=",".join(sorted(self._model.signatures)))
        return found

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Runs the signature that the request names."""
        asked = (payload.parameters.model_extra or {}) if payload.parameters else {}
        function = self._function(asked.get("signature", self._default))
        specs = _specs(function)
        sent = {each.name: each for each in payload.inputs}
        if set(sent) != set(specs):
            raise MLServerError(
                f"send the inputs {', '.join(sorted(specs))}, and not {', '.join(sorted(sent))}."
            )
        tensors = {name: _tensor(sent[name], spec) for name, spec in specs.items()}
        try:
            outputs = await asyncio.to_thread(lambda: function(**tensors))
        except tf.errors.InvalidArgumentError as error:
            raise MLServerError(_sentence(error.message)) from error
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            outputs=[
                # MLServer's own NumPy codec would make [B] a [B, 1].
                ResponseOutput(
                    name=name,
                    datatype=DATATYPES[value.dtype],
                    shape=list(value.shape),
                    data=value.numpy().ravel().tolist(),
                )
                for name, value in sorted(outputs.items())
            ],
        )

    def _function(self, name: str) -> tf.types.experimental.ConcreteFunction:
        if name not in self._model.signatures:
            known = ", ".join(sorted(self._model.signatures))
            raise MLServerError(f"no signature {name}: name one of {known}.")
        return self._model.signatures[name]


def newest(path: str) -> str:
    """Returns the newest version in an export's folder, or the folder of a version as it is."""
    path = os.path.abspath(path)
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return path
    versions = [name for name in os.listdir(path) if name.isascii() and name.isdigit()]
    if not versions:
        raise MLServerError(f"{path} holds no version of a SavedModel: name an export.", 500)
    return os.path.join(path, max(versions, key=int))


def write_settings(export: str, name: str, output: str, signature: str | None = None) -> str:
    """Makes the folder `output` one that `mlserver start` serves; returns its settings file."""
    parameters: dict[str, object] = {"uri": os.path.abspath(export)}
    if signature:
        parameters["extra"] = {"signature": signature}
    settings = {
        "name": name,
        "implementation": "mlserver_runtime.SavedModelRuntime",
        "parameters": parameters,
    }
    os.makedirs(output, exist_ok=True)
    runtime = os.path.join(output, "mlserver_runtime.py")
    if os.path.realpath(runtime) != os.path.realpath(__file__):
        shutil.copyfile(__file__, runtime)
    path = os.path.join(output, "model-settings.json")
    with open(f"{path}.partial", "w", encoding="utf-8") as f:
        f.write(json.dumps(settings, indent=2) + "\n")
    os.replace(f"{path}.partial", path)
    return path


def _specs(function: tf.types.experimental.ConcreteFunction) -> dict[str, tf.TensorSpec]:
    return function.structured_input_signature[1]


def _described(specs: Mapping[str, tf.TensorSpec]) -> list[MetadataTensor]:
    return [
        MetadataTensor(
            name=name,
            datatype=DATATYPES[spec.dtype],
            shape=[-1 if size is None else size for size in spec.shape],
        )
        for name, spec in sorted(specs.items())
    ]


def _tensor(sent: RequestInput, spec: tf.TensorSpec) -> tf.Tensor:
    """Returns an input of a request as the tensor that the signature takes."""
    wanted = DATATYPES[spec.dtype]
    datatype = Datatype(sent.datatype).value
    if datatype != wanted:
        raise MLServerError(f"{sent.name} is {datatype}: send {wanted}.")
    data = sent.data.root
    try:
        if wanted == "BYTES":
            # NumPy's own strings of bytes would lose the zeros at their end.
            values = np.empty(len(data), object)
            values[:] = [_bytes(sent.name, each) for each in data]
        else:
            values = np.array(data, spec.dtype.as_numpy_dtype)
        values = values.reshape(sent.shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise MLServerError(f"{sent.name} does not hold {sent.shape} {wanted}: {error}.") from error
    # Else TensorFlow's own words, which name neither.
    if not spec.shape.is_compatible_with(values.shape):
        shape = [-1 if size is None else size for size in spec.shape]
        raise MLServerError(f"{sent.name} has the shape {list(values.shape)}: send {shape}.")
    return tf.constant(values, spec.dtype)


def _bytes(name: str, value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise MLServerError(f"{name} is not base64 ({error}): send bytes by REST so.") from error


def _sentence(message: str) -> str:
    """Returns what a graph asserts, without the values that it compared."""
    message = message.removeprefix("Graph execution error:").strip()
    asserted = re.search(r"assertion failed: \[(.+?)\s*\](?: \[|\s|$)", message, re.DOTALL)
    return asserted.group(1) if asserted else message.splitlines()[0]


def main() -> int:
    """Writes what `mlserver start` reads."""
    parser = argparse.ArgumentParser(description="Make a folder for `mlserver start`.")
    parser.add_argument("--export", required=True, help="such as exports/voice_face")
    parser.add_argument("--name", required=True, help="of the model")
    parser.add_argument("--output", required=True, help="the folder to make")
    parser.add_argument("--signature", help="of requests that name none")
    options = parser.parse_args()
    write_settings(options.export, options.name, options.output, options.signature)
    print(f"mlserver start {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
