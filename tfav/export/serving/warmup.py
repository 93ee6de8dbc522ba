"""Requests that TensorFlow Serving answers before a version takes traffic: its warm-up file.

A TFRecord of `tensorflow.serving.PredictionLog`. TensorFlow Serving sends each through the session
that will serve, batching included, and does not load a version whose warm-up fails.
"""

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
    text_format,
)
from tensorflow.core.framework import tensor_pb2

from tfav import items, tensors
from tfav.export.serving import examples
from tfav.media import image_files

FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")  # TensorFlow Serving's own name

CANDIDATES = 10  # of each probe
_STEPS = 16  # of a sequence of any length

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


def _prediction_log() -> type[message.Message]:
    """Returns the class of the message, in a pool of its own: the real package may be there too."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_SCHEMA, descriptor_pb2.FileDescriptorProto()))
    descriptor = pool.FindMessageTypeByName("tensorflow.serving.PredictionLog")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)  # protobuf before 4.22


_PredictionLog = _prediction_log()


def write(
    path: str, requests: Sequence[tuple[str, Mapping[str, tensor_pb2.TensorProto]]], name: str
) -> None:
    """Writes the warm-up file of a SavedModel.

    Args:
      path: the SavedModel's folder.
      requests: (signature, its inputs).
      name: Name of the model on the server.
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
    specs: Mapping[str, tf.TensorSpec], rows: int, modalities: Mapping[str, items.ItemSpec]
) -> dict[str, tensor_pb2.TensorProto]:
    """Returns made-up inputs of a signature: clips of a second, images of the encoder's size.

    Every input has `rows` rows: with batching on, TensorFlow Serving refuses a request whose inputs
    differ in that, and a refused warm-up keeps the version from loading.
    All values of a tensor are one, which a TensorProto holds as one: the file stays small.

    Args:
      specs: input to its shape and type.
      rows: Rows of each input.
      modalities: modality to what one item of it is.
    """
    shapes: dict[str, list[int]] = {"candidates": [rows, CANDIDATES]}
    values: dict[str, float | bytes] = {}
    for spec in modalities.values():
        steps = tensors.SAMPLE_RATE_HZ if spec.clip else _STEPS
        shape = [steps if size is None else size for size in spec.shape]
        value = 128 if np.issubdtype(np.dtype(spec.dtype), np.integer) else 0.1
        shapes[spec.tensor], values[spec.tensor] = [rows, *shape], value
        if spec.length:
            values[spec.length] = shape[0]
        if spec.file:
            if spec.fitted:
                shape[-3:-1] = [max(side, image_files.MIN_SIDE) for side in shape[-3:-1]]
            values[spec.file] = examples.FILES[spec.file](np.full(shape, value, spec.dtype))
    found = {}
    for name, spec in specs.items():
        shape = shapes.get(name, [rows])
        shape = [*shape, *spec.shape[len(shape) :]]
        found[name] = tf.make_tensor_proto(values.get(name, 1.0), spec.dtype, shape)
    return found
