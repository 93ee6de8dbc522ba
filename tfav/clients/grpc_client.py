"""gRPC client of TensorFlow Serving for the exports of tfav, on its official stubs.

    client = Client("localhost:8500", "voice_face")
    print(client.match(client.embed_wav("voice.wav"), [client.embed_jpeg("ann.jpg")]).scores)

Methods and refusals are those of `client.py`; embeddings are arrays. Copied, this file needs that
one beside it. Needs the extra `serving`: grpcio and tensorflow-serving-api, whose stubs import
TensorFlow. The latter asks for `tensorflow` by name, so beside tensorflow-cpu install it by
`pip install --no-deps tensorflow-serving-api`. Two seconds of audio are 128 kB in `embed_audio`,
64 kB in `embed_wav`.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

try:
    from tfav.clients.client import Calls, ServingError, asserted, pauses
except ImportError:  # copied
    from client import Calls, ServingError, asserted, pauses  # type: ignore[no-redef] # the same


class Client(Calls):
    """A model behind TensorFlow Serving's gRPC API.

    Args:
      target: host:port, usually port 8500.
      model: the name it is served under.
      version: an integer; None: the one that the server prefers, its newest.
      timeout_seconds: Time limit of one try.
      retries: further tries where the server was not there; 10 outlast a restart of 20 s.
      max_seconds: Longest clip in seconds; a longer one is refused before it is sent.
      max_message_bytes: Largest request or answer; gRPC's own limit would be 4 MB.
      credentials: Those of the channel, as of `grpc.ssl_channel_credentials()`; None: no TLS.
    """

    def __init__(
        self,
        target: str,
        model: str,
        version: int | None = None,
        timeout_seconds: float = 30.0,
        retries: int = 5,
        max_seconds: float = 60.0,
        max_message_bytes: int = 64_000_000,
        credentials: grpc.ChannelCredentials | None = None,
    ):
        super().__init__(max_seconds)
        options = [
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.max_receive_message_length", max_message_bytes),
            # Else the channel waits up to two minutes before it looks for a server that is back.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if credentials is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            self._channel = grpc.secure_channel(target, credentials, options)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._target, self._name, self._version = target, model, version
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._max_message_bytes = max_message_bytes

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def status(self) -> dict[int, str]:
        """Returns version to its state, such as {1: "AVAILABLE"}."""
        request = self._request(get_model_status_pb2.GetModelStatusRequest)
        answer = self._call(self._model.GetModelStatus, request)
        names = get_model_status_pb2.ModelVersionStatus.State
        return {each.version: names.Name(each.state) for each in answer.model_version_status}

    def metadata(self) -> dict[str, dict[str, Any]]:
        """Returns signature to {"inputs" and "outputs": {name: {"dtype", "shape" (-1: any)}}}."""
        request = self._request(get_model_metadata_pb2.GetModelMetadataRequest)
        request.metadata_field.append("signature_def")
        answer = self._call(self._prediction.GetModelMetadata, request)
        found = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(found)
        return {
            name: {"inputs": _tensors(signature.inputs), "outputs": _tensors(signature.outputs)}
            for name, signature in sorted(found.signature_def.items())
            if not name.startswith("__")  # TensorFlow's own initialiser
        }

    def predict(self, signature: str, inputs: Mapping[str, object]) -> Any:
        """Calls any signature.

        Args:
          signature: its name.
          inputs: name to a value of the signature's shape: arrays, numbers, bytes, lists of them.
            Floats go as float32 and Python's integers as int32; give images as uint8 arrays.

        Returns:
          The output as an array; of several outputs, name to array.

        Raises:
          ServingError: the server refused it or did not answer, or it is too large.
        """
        request = self._request(predict_pb2.PredictRequest)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(_proto(name, value))
        if request.ByteSize() > self._max_message_bytes:
            raise ServingError(
                f"the request to {signature} has {request.ByteSize()} bytes, more than "
                f"max_message_bytes={self._max_message_bytes}: send fewer rows, or audio by "
                "embed_wav."
            )
        answer = self._call(self._prediction.Predict, request)
        outputs = {name: tf.make_ndarray(x) for name, x in answer.outputs.items()}
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    def _request(self, kind: Callable[[], Any]) -> Any:
        request = kind()
        request.model_spec.name = self._name
        if self._version is not None:
            request.model_spec.version.value = self._version
        return request

    def _call(self, method: Callable[..., Any], request: object) -> Any:
        for pause in (*pauses(self._retries), None):
            try:
                return method(request, timeout=self._timeout_seconds)
            except grpc.RpcError as error:
                code = error.code()
                if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise ServingError(
                        f"{self._target} took longer than timeout_seconds={self._timeout_seconds:g}"
                        ": raise it, or send fewer rows.",
                        code.name,
                    ) from None
                if code != grpc.StatusCode.UNAVAILABLE:
                    raise ServingError(asserted(error.details()), code.name) from None
                details = error.details()
            if pause is None:
                raise ServingError(
                    f"{self._target} did not answer in {self._retries + 1} tries (the last time: "
                    f"{details}): start the server, or give the address of its gRPC port.",
                    code.name,
                )
            time.sleep(pause)


def _proto(name: str, value: object) -> Any:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ServingError(
            f"{name} holds lists of several lengths: send them one by one."
        ) from None
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    elif array.dtype == np.int64:
        array = array.astype(np.int32)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ServingError(f"{name} holds NaN or infinite values.")
    # As NumPy keeps them, bytes lose the zeros at their end, and a WAV ends in zeros.
    return tf.make_tensor_proto(value if array.dtype.kind == "S" else array)


def _tensors(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "dtype": types_pb2.DataType.Name(info.dtype),
            "shape": [dim.size for dim in info.tensor_shape.dim],
        }
        for name, info in sorted(tensors.items())
    }
