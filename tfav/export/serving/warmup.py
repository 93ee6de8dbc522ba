"""Requests that TensorFlow Serving answers before a version takes traffic: its warm-up file.

A TFRecord of `tensorflow.serving.PredictionLog`. TensorFlow Serving sends each through the session
that will serve, batching included, and does not load a version whose warm-up fails.
"""

import os
from collections.abc import Iterator, Mapping

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow.core.framework import tensor_pb2

from tfav import tensors

FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")  # TensorFlow Serving's own name

CANDIDATES = 10  # of each probe

# What of tensorflow_serving/apis/{prediction_log,predict,model}.proto a warm-up needs, so that it
# takes no tensorflow-serving-api, which is made for one version of TensorFlow and of protobuf each.
# A message and its bytes look the same from outside: `inputs` holds TensorProtos.
_SCHEMA = """
  name: "tfav/warmup.proto" package: "tensorflow.serving" syntax: "proto3"
  message_type {
    name: "ModelSpec"
    field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "signature_name" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
  }
  message_type {
    name: "PredictRequest"
    field {
      name: "model_spec" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
      type_name: ".tensorflow.serving.ModelSpec"
    }
    field {
      name: "inputs" number: 2 type: TYPE_MESSAGE label: LABEL_REPEATED
      type_name: ".tensorflow.serving.PredictRequest.InputsEntry"
    }
    nested_type {
      name: "InputsEntry" options { map_entry: true }
      field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "value" number: 2 type: TYPE_BYTES label: LABEL_OPTIONAL }
    }
  }
  message_type {
    name: "PredictLog"
    field {
      name: "request" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
      type_name: ".tensorflow.serving.PredictRequest"
    }
  }
  message_type {
    name: "PredictionLog"
    field {
      name: "predict_log" number: 6 type: TYPE_MESSAGE label: LABEL_OPTIONAL
      type_name: ".tensorflow.serving.PredictLog"
    }
  }
"""


def _prediction_log() -> type:
    """Returns the class of the message, in a pool of its own: the real package may be there too."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_SCHEMA, descriptor_pb2.FileDescriptorProto()))
    descriptor = pool.FindMessageTypeByName("tensorflow.serving.PredictionLog")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)  # protobuf before 4.22


_PredictionLog = _prediction_log()


def write(
    path: str, requests: list[tuple[str, Mapping[str, tensor_pb2.TensorProto]]], name: str
) -> None:
    """Writes the warm-up file of a SavedModel.

    Args:
      path: the SavedModel's folder.
      requests: (signature, its inputs).
      name: of the model on the server.
    """
    with tf.io.TFRecordWriter(os.path.join(path, FILE)) as writer:
        for signature, inputs in requests:
            log = _PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = name, signature
            for key, value in sorted(inputs.items()):
                request.inputs[key] = value.SerializeToString(deterministic=True)
            writer.write(log.SerializeToString(deterministic=True))


def read(path: str) -> Iterator[tuple[str, dict[str, tensor_pb2.TensorProto]]]:
    """Yields the (signature, inputs) of a SavedModel's warm-up file, nothing where it has none."""
    file = os.path.join(path, FILE)
    if not os.path.exists(file):
        return
    for record in tf.data.TFRecordDataset(file).as_numpy_iterator():
        request = _PredictionLog.FromString(record).predict_log.request
        inputs = {k: tensor_pb2.TensorProto.FromString(v) for k, v in request.inputs.items()}
        yield request.model_spec.signature_name, inputs


def inputs(
    specs: Mapping[str, tf.TensorSpec],
    rows: int,
    image_size: Mapping[str, int],
    num_frames: Mapping[str, int],
) -> dict[str, tensor_pb2.TensorProto]:
    """Returns made-up inputs of a signature: clips of a second, pictures of the encoder's size.

    Every input has `rows` rows: with batching on, TensorFlow Serving refuses a request whose inputs
    differ in that, and a refused warm-up keeps the version from loading.
    All values of a tensor are one, which a TensorProto holds as one: the file stays small.

    Args:
      specs: input to its shape and type.
      rows: of each input.
      image_size: input of pictures to their side.
      num_frames: input of pictures to their frames; one where left out.
    """
    second = tensors.SAMPLE_RATE_HZ
    size = image_size.get("image", 1)
    values = {
        "waveform": 0.1,
        "num_samples": second,
        "wav": tf.audio.encode_wav(tf.fill([second, 1], 0.1), second).numpy(),
        "jpeg": tf.io.encode_jpeg(tf.fill([size, size, 3], tf.constant(128, tf.uint8))).numpy(),
    }
    found = {}
    for name, spec in specs.items():
        shape = [rows, *spec.shape[1:]]
        if name == "waveform":
            shape[1] = second
        elif name == "candidates":
            shape[1] = CANDIDATES
        elif name in image_size:
            side, frames = image_size[name], num_frames.get(name, 1)
            shape[1:] = [*([frames] if frames > 1 else []), side, side, 3]
        value = 128 if name in image_size else values.get(name, 1.0)
        found[name] = tf.make_tensor_proto(value, spec.dtype, shape)
    return found
