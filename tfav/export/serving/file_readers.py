"""Name of a tensor of whole files to what reads them, and that as one function of a graph."""

import functools

import tensorflow as tf

from tfav import items
from tfav.export.serving import image_file, wav_file

FILES = {"wav": wav_file.read, "jpeg": image_file.read}


@functools.cache
def reader(signature: str, spec: items.ItemSpec) -> tf.types.experimental.ConcreteFunction:
    """Returns what makes the inputs of a modality of its files [B]; signatures call it.

    It is traced once per process, whatever is exported there: the walk through the headers of files
    is as large a graph as an encoder's, and no weight is in it.

    Args:
      signature: what was called, which its messages name.
      spec: what one item of the modality is.
    """
    read = FILES[spec.file]

    def call(files: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(read(signature, spec, files))

    with tf.init_scope():  # not a part of the graph that asks for it first
        traced = tf.function(call, autograph=False)
        return traced.get_concrete_function(tf.TensorSpec([None], tf.string))
