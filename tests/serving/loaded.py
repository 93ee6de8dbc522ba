"""The newest version of an export behind the C++ Session, as TensorFlow Serving runs it."""

import os

import numpy as np
import tensorflow as tf

from tfav.inference import artefacts


class Refused(Exception):
    """A request that is not answered.

    Attributes:
      code: name of the gRPC status.
    """

    def __init__(self, code: str, sentence: str):
        super().__init__(sentence)
        self.code = code


class Loaded:
    """A model base path's newest version; `predict` may be called from many threads.

    Args:
      base: the folder that holds the versions.
      name: what the model is served as.
    """

    def __init__(self, base: str, name: str):
        self.name = name
        self.version = max(artefacts.versions(base))
        path = os.path.join(base, str(self.version))
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            loaded = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], path)
        self.signatures = loaded.signature_def

    def signature(self, name: str, code: str = "FAILED_PRECONDITION"):
        """Returns the SignatureDef of a name; empty: the default one."""
        name = name or "serving_default"
        if name not in self.signatures:
            raise Refused(code, f'Serving signature key "{name}" not found.')
        return self.signatures[name]

    def check(self, name: str, version: int) -> None:
        """Raises `Refused` unless this is that model and version; 0 is any version.

        TensorFlow Serving has no version 0; clients of OpenVINO's server ask for it.
        """
        if name != self.name or version not in (0, self.version):
            which = f"Specific({name}, {version})" if version else f"Latest({name})"
            raise Refused("NOT_FOUND", f"Servable not found for request: {which}")

    def predict(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature.

        Raises:
          Refused: as TensorFlow Serving and the graph refuse it.
        """
        definition = self.signature(signature)
        sent, wanted = set(inputs), set(definition.inputs)
        if sent != wanted:
            raise Refused(
                "INVALID_ARGUMENT",
                f"input size does not match signature: {len(sent)}!={len(wanted)} "
                f"Sent extra: {sorted(sent - wanted)}. Missing: {sorted(wanted - sent)}.",
            )
        graph, feeds = self._session.graph, {}
        for name, info in definition.inputs.items():
            dtype = tf.as_dtype(info.dtype)
            value = inputs[name]
            if (value.dtype == object) != (dtype == tf.string) or (
                dtype != tf.string and value.dtype != dtype.as_numpy_dtype
            ):
                raise Refused(
                    "INVALID_ARGUMENT", f"{name} must be {dtype.name}, and is {value.dtype}"
                )
            feeds[graph.get_tensor_by_name(info.name).ref()] = value
        names = sorted(definition.outputs)
        fetches = [graph.get_tensor_by_name(definition.outputs[name].name) for name in names]
        try:
            # Session.run would refuse shapes that the signature does not have. TensorFlow Serving
            # feeds them, so what a caller is told of a wrong rank is up to the graph.
            values = self._session._do_run(None, [], fetches, feeds, None, None)
        except tf.errors.OpError as error:
            # Python's session puts a line of its own before what the C++ one says.
            sentence = error.message.removeprefix("Graph execution error:").lstrip()
            raise Refused(_CODES.get(error.error_code, "UNKNOWN"), sentence) from error
        return dict(zip(names, values))


_CODES = {
    tf.errors.INVALID_ARGUMENT: "INVALID_ARGUMENT",
    tf.errors.FAILED_PRECONDITION: "FAILED_PRECONDITION",
    tf.errors.OUT_OF_RANGE: "OUT_OF_RANGE",
    tf.errors.RESOURCE_EXHAUSTED: "RESOURCE_EXHAUSTED",
    tf.errors.UNIMPLEMENTED: "UNIMPLEMENTED",
    tf.errors.INTERNAL: "INTERNAL",
}
