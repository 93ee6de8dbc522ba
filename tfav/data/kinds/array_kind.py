"""Numbers that come as they are: vectors, or sequences of them, such as a sensor's."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfav import items, values
from tfav.data.kinds import kind
from tfav.media import array_tables, bad_file, limits

if TYPE_CHECKING:
    import tensorflow as tf

MISFIT = "has another shape"  # what the sentence of a record that does not fit the config says


class ArrayKind(kind.Kind):
    """NumPy's `.npy` files of vectors [D] or of sequences [T, D], as float32; see `kind.Kind`.

    A path `FILE#ID` is a row of a table, see `media.array_tables`.

    A kind that reads other files into such arrays is a subclass with a `name`, `suffixes` and
    `values_in` of its own.
    """

    name = "array"
    suffixes = (".npy",)
    subject = "array"
    fields = {
        "size": values.whole(1, 65_536, "numbers of a vector, or of a step of a sequence"),
        "sequence": values.FLAG,
    }

    def item(self, modality: str, section: Mapping[str, Any]) -> items.ItemSpec:
        """Returns that of vectors of the section's size, or of sequences of them."""
        steps = f"{modality}_steps" if section["sequence"] else ""
        return items.array(section["size"], steps, self.name).of(modality)

    def encoder_arguments(self, modality: str, section: Mapping[str, Any]) -> dict[str, Any]:
        """Returns size, form and kind."""
        del modality
        return {"size": section["size"], "sequence": section["sequence"], "kind": self.name}

    def values_in(self, path: str | os.PathLike, bounds: limits.Limits) -> np.ndarray:
        """Returns the numbers in a file, [D] or [T, D], of any type that holds numbers.

        Raises:
          BadFile: they cannot be read.
        """
        place = array_tables.split(path)
        if place.id:
            return array_tables.read(place.file, place.modality).row(place.id)
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError, SyntaxError) as error:
            raise bad_file.BadFile(
                f"is no whole .npy file of numbers ({bad_file.first_line(error)})"
            ) from error
        if not isinstance(found, np.ndarray):
            raise bad_file.BadFile(
                "is an .npz file of several arrays: name one of its rows, FILE#ID"
            )
        bounds.check_bytes(found.size * max(found.itemsize, 4))
        return np.array(found)

    def read(self, path: str | os.PathLike, bounds: limits.Limits) -> bytes:
        """Returns a TensorProto of float32, which tells its own shape."""
        import tensorflow as tf

        proto = tf.make_tensor_proto(self._checked(path, bounds))
        return proto.SerializeToString(deterministic=True)

    def form(self, content: bytes) -> tuple[int | str, ...]:
        """Returns (D,) of a vector and ("T", D) of a sequence."""
        from tensorflow.core.framework import tensor_pb2

        sizes = [d.size for d in tensor_pb2.TensorProto.FromString(content).tensor_shape.dim]
        return (*("T" for _ in sizes[:-1]), sizes[-1])

    def load(
        self, path: str | os.PathLike, spec: items.ItemSpec, bounds: limits.Limits
    ) -> np.ndarray:
        """Returns the vector [D] or sequence [T, D] float32."""
        found = self._checked(path, bounds)
        if found.ndim != len(spec.shape) or found.shape[-1] != spec.shape[-1]:
            raise bad_file.BadFile(
                f"holds an array of the shape {list(found.shape)}, not {_shape(spec)}"
            )
        return found

    def training(
        self, modality: str, item: kind.Item, audio_seconds: tuple[float, float]
    ) -> Callable[["tf.Tensor", Mapping[str, "tf.Tensor"]], kind.Tensors]:
        """Returns what gives the whole array, and its steps where it is a sequence."""
        from tfav.data.input import augment

        del audio_seconds
        chain = augment.resolve_one(item.augment, self.subject, modality)

        def make(content: "tf.Tensor", row: Mapping[str, "tf.Tensor"]) -> kind.Tensors:
            value = augment.apply(chain, _decoded(content, modality, item.spec), row["seed"])
            return _sized(value, modality, item.spec)

        return make

    def evaluation(
        self, modality: str, item: kind.Item, bounds: tuple[int, int]
    ) -> Callable[["tf.Tensor"], kind.Tensors]:
        """Returns what gives the whole array, and its steps where it is a sequence."""
        del bounds
        return lambda content: _sized(_decoded(content, modality, item.spec), modality, item.spec)

    def _checked(self, path: str | os.PathLike, bounds: limits.Limits) -> np.ndarray:
        bad_file.check_file(array_tables.split(path).file)
        found = self.values_in(path, bounds)
        if found.dtype.kind not in "biuf":
            raise bad_file.BadFile(f"holds {found.dtype} and no real numbers")
        if found.ndim not in (1, 2) or not found.size:
            raise bad_file.BadFile(
                f"holds an array of the shape {list(found.shape)}, which is neither a vector [D] "
                "nor a sequence [T, D]"
            )
        with np.errstate(over="ignore"):
            found = np.ascontiguousarray(found, np.float32)
        if not np.isfinite(found).all():
            raise bad_file.BadFile("holds a number that is not finite in float32")
        return found


def _shape(spec: items.ItemSpec) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in spec.shape)}]"


def _decoded(content: "tf.Tensor", modality: str, spec: items.ItemSpec) -> "tf.Tensor":
    """Returns the array that a record stores; a sentence where it is of another shape."""
    import tensorflow as tf

    value = tf.io.parse_tensor(content[0], tf.float32)
    its = tf.strings.reduce_join(tf.strings.as_string(tf.shape(value)), separator=", ")
    sentence = tf.strings.join(  # without quotes, which TensorFlow escapes
        [
            f"the {modality} of a record {MISFIT} than {_shape(spec)}, namely [",
            its,
            f"]: set size and sequence of --config.further.{modality} to what was prepared, or "
            "give other data.",
        ]
    )
    rank = len(spec.shape)
    fits = tf.logical_and(
        tf.equal(tf.rank(value), rank), tf.equal(tf.shape(value)[-1], spec.shape[-1])
    )
    with tf.control_dependencies([tf.debugging.Assert(fits, [sentence])]):
        return tf.ensure_shape(tf.identity(value), spec.shape)


def _sized(value: "tf.Tensor", modality: str, spec: items.ItemSpec) -> kind.Tensors:
    import tensorflow as tf

    if not spec.length:
        return {modality: value}
    return {modality: value, spec.length: tf.shape(value)[0]}
