"""Weights as one flat dict of named raw variables: the one form that is saved and exported.

Keras 3 leaves weights held in lists or dicts out of `tf.train.Checkpoint` without a word, and its
variable names differ from Keras 2's. So names here follow the Python attributes that lead to a
weight (`audio/stem/conv/kernel`), the same on both lines, and `named_weights` counts what it found.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfav import compat


def _children(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (keras.layers.Layer, tf.Variable)):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _children(item, f"{name}/{i}")
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from _children(value[key], f"{name}/{key}")


def _walk(
    layer: keras.layers.Layer | tf.Module, prefix: str, seen: set[int]
) -> Iterator[tuple[str, tf.Variable]]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    below: set[int] = set()
    for attribute, value in sorted(vars(layer).items()):
        if attribute.startswith("_"):  # Keras keeps its own lists of the same layers there
            if isinstance(value, keras.layers.Layer):
                raise ValueError(
                    f"{layer.name}.{attribute} is a layer under a private name, its weights "
                    f"would be called {prefix}/...: hold it in a public attribute"
                )
            continue
        for name, child in _children(value, attribute):
            if isinstance(child, keras.layers.Layer):
                below.update(id(compat.raw(w)) for w in child.weights)
                yield from _walk(child, f"{prefix}/{name}", seen)
    found: set[int] = set()
    for weight in layer.weights if isinstance(layer, keras.layers.Layer) else ():
        variable = compat.raw(weight)
        if id(variable) not in below and id(variable) not in found:
            found.add(id(variable))
            yield f"{prefix}/{compat.leaf_name(weight)}", variable
    for attribute, value in sorted(vars(layer).items()):
        # A plain tf.Variable is a weight to Keras 2 and unknown to Keras 3.
        if (
            not attribute.startswith("_")
            and isinstance(value, tf.Variable)
            and id(value) not in found
        ):
            yield f"{prefix}/{compat.leaf_name(value)}", value


def named_weights(layer: keras.layers.Layer | tf.Module, prefix: str) -> dict[str, tf.Variable]:
    """Returns every variable below a built layer by its structural name.

    Args:
      layer: a built Keras layer, or a module of raw variables; sublayers may sit in lists and
        dicts.
      prefix: first part of each name.

    Raises:
      ValueError: two weights share a name, or a sublayer sits under a private attribute.
    """
    names: dict[str, tf.Variable] = {}
    for name, variable in _walk(layer, prefix, set()):
        if name in names:
            raise ValueError(
                f"two weights are called {name}: give them different names in their layer"
            )
        names[name] = variable
    return names
