"""Gradients as a few flat vectors: one kernel for a norm, a clip or a decay of all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfav import compat


class Groups:
    """Weights in groups that are treated alike: by encoder (or none), and decayed or not.

    Args:
      weights: all weights, in the order of their gradients.
      decayed: Whether weight decay applies to each.
      encoders: encoder to the positions of its weights.
    """

    def __init__(
        self, weights: Sequence[Any], decayed: Sequence[bool], encoders: Mapping[str, Sequence[int]]
    ):
        owner = {i: name for name, positions in encoders.items() for i in positions}
        members: dict[tuple[str, bool], list[int]] = {}
        for i in range(len(weights)):
            members.setdefault((owner.get(i, ""), bool(decayed[i])), []).append(i)
        self._weights = [compat.raw(w) for w in weights]
        self._members = members
        self._encoders = tuple(encoders)

    def join(self, gradients: Sequence[tf.Tensor]) -> dict[tuple[str, bool], tf.Tensor]:
        """Returns each group's gradients as one vector."""
        return {key: _flat([gradients[i] for i in group]) for key, group in self._members.items()}

    def split(self, vectors: Mapping[tuple[str, bool], tf.Tensor]) -> list[tf.Tensor]:
        """Returns what `join` was given, of vectors that may have been changed since."""
        found: dict[int, tf.Tensor] = {}
        for key, group in self._members.items():
            shapes = [self._weights[i].shape for i in group]
            parts = tf.split(vectors[key], [shape.num_elements() for shape in shapes])
            found |= {i: tf.reshape(p, shape) for i, p, shape in zip(group, parts, shapes)}
        return [found[i] for i in range(len(self._weights))]

    def norms(self, vectors: Mapping[tuple[str, bool], tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the norm of all gradients as the empty name, and of each encoder's, [] each."""
        squares = {key: 2.0 * tf.nn.l2_loss(vector) for key, vector in vectors.items()}
        found = {"": tf.add_n(list(squares.values()))}
        for name in self._encoders:
            own = [square for key, square in squares.items() if key[0] == name]
            # None of it where all of an encoder's weights are frozen.
            found[name] = tf.add_n(own) if own else tf.zeros_like(found[""])
        return {name: tf.sqrt(square) for name, square in found.items()}

    def decay(
        self, vectors: Mapping[tuple[str, bool], tf.Tensor], rate: float
    ) -> dict[tuple[str, bool], tf.Tensor]:
        """Returns the vectors with `rate` times the weight added where decay applies."""
        return {
            key: vector + rate * _flat([self._weights[i] for i in self._members[key]])
            if key[1]
            else vector
            for key, vector in vectors.items()
        }


def _flat(values: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(value, [-1]) for value in values], axis=0)
