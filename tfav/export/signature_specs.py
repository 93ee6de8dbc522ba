"""What a signature takes, by the names of its inputs, and how it is traced."""

from collections.abc import Callable

import tensorflow as tf

from tfav import items

Specs = dict[str, tf.TensorSpec]


def served(spec: items.ItemSpec) -> Specs:
    """Returns what a server takes of a modality: any number of rows, any length and image size."""
    count = {spec.length: tf.TensorSpec([None], tf.int32)} if spec.length else {}
    return {spec.tensor: tf.TensorSpec([None, *spec.served_shape], spec.dtype), **count}


def fixed(spec: items.ItemSpec, audio_samples: int | None) -> Specs:
    """Returns what a phone takes of a modality: one row, of clips `audio_samples` (None: any)."""
    steps = [audio_samples, *spec.shape[1:]] if spec.clip else spec.shape
    count = {spec.length: tf.TensorSpec([1], tf.int32)} if spec.length else {}
    return {spec.tensor: tf.TensorSpec([1, *steps], spec.dtype), **count}


def trace(
    function: Callable[..., dict[str, tf.Tensor]], specs: Specs
) -> tf.types.experimental.ConcreteFunction:
    """Returns `function` traced with one input tensor for each of `specs`, by its name."""
    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}

    def call(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return function(**inputs)

    return tf.function(call, autograph=False).get_concrete_function(**named)
