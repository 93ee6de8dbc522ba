"""Gradients as a few flat vectors: one kernel for a norm, a clip or a decay of all of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from tfav import compat
from tfav.ops import distributed, sums

# Encoder or none, decayed or not, and of a weight alone its position, else -1.
Key: TypeAlias = tuple[str, bool, int]


class Groups:
    """Weights in groups that are treated alike: by encoder (or none), and decayed or not.

    A weight of which a step reads some rows alone is a group of its own, of these rows; so is one
    that the replicas share, whose group differs from replica to replica.

    Args:
      weights: all weights, in the order of their gradients.
      decayed: Whether weight decay applies to each.
      encoders: encoder to the positions of its weights.
      sampled: Whether a step reads some rows alone of each; None: of no weight.
      sharded: Positions of the weights that the replicas share.
      idle: Positions of the weights that are in no group, as a step does not move them.
    """

    def __init__(
        self,
        weights: Sequence[Any],
        decayed: Sequence[bool],
        encoders: Mapping[str, Sequence[int]],
        sampled: Sequence[bool] | None = None,
        sharded: Collection[int] = (),
        idle: Collection[int] = (),
    ):
        owner = {i: name for name, positions in encoders.items() for i in positions}
        members: dict[Key, list[int]] = {}
        for i in sorted(set(range(len(weights))) - set(idle)):
            is_alone = i in sharded or (sampled is not None and sampled[i])
            alone = i if is_alone else -1
            members.setdefault((owner.get(i, ""), bool(decayed[i]), alone), []).append(i)
        self._weights = list(weights)
        self._members = members
        self._encoders = tuple(encoders)
        self._sharded = [key for key in members if key[2] in sharded]

    def join(self, gradients: Sequence[tf.Tensor]) -> dict[Key, tf.Tensor]:
        """Returns each group's gradients as one vector."""
        return {key: _flat([gradients[i] for i in group]) for key, group in self._members.items()}

    def split(
        self, vectors: Mapping[Key, tf.Tensor], rows: Mapping[int, tf.Tensor] | None = None
    ) -> list[tf.Tensor | tf.IndexedSlices | None]:
        """Returns what `join` was given, of vectors that may have been changed since; None if idle.

        Args:
          vectors: Vector of each group.
          rows: Position of each weight that is a group of its own to the rows that were read.
        """
        found: dict[int, tf.Tensor | tf.IndexedSlices] = {}
        for key, group in self._members.items():
            shapes = [compat.raw(self._weights[i]).shape for i in group]
            if rows and key[2] in rows:
                values = tf.reshape(vectors[key], [-1, *shapes[0][1:]])
                found[key[2]] = tf.IndexedSlices(values, rows[key[2]])
                continue
            if len(group) == 1:
                found[group[0]] = vectors[key]
                continue
            parts = tf.split(vectors[key], [shape.num_elements() for shape in shapes])
            found |= {i: tf.reshape(p, shape) for i, p, shape in zip(group, parts, shapes)}
        return [found.get(i) for i in range(len(self._weights))]

    def norms(self, vectors: Mapping[Key, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the norm of all gradients as the empty name, and of each encoder's, [] each."""
        halves = {key: tf.nn.l2_loss(vector) for key, vector in vectors.items()}
        if self._sharded:
            total = distributed.total(tf.stack([halves[key] for key in self._sharded]))
            halves |= dict(zip(self._sharded, tf.unstack(total)))
        found = {"": sums.in_order(list(halves.values()))}
        for name in self._encoders:
            own = [half for key, half in halves.items() if key[0] == name]
            # None of it where all of an encoder's weights are frozen.
            found[name] = sums.in_order(own) if own else tf.zeros_like(found[""])
        return {name: tf.sqrt(2.0 * half) for name, half in found.items()}

    def decay(
        self,
        vectors: Mapping[Key, tf.Tensor],
        rate: float,
        rows: Mapping[int, tf.Tensor] | None = None,
    ) -> dict[Key, tf.Tensor]:
        """Returns the vectors with `rate` times the weight added where decay applies.

        Args:
          vectors: Vector of each group.
          rate: Factor of the weights.
          rows: as `split` takes them: of such a weight these rows decay.
        """

        def weight(i: int) -> tf.Tensor:
            if rows and i in rows:
                return tf.gather(compat.local(self._weights[i]), rows[i])
            return compat.raw(self._weights[i])

        return {
            key: vector + rate * _flat([weight(i) for i in self._members[key]])
            if key[1]
            else vector
            for key, vector in vectors.items()
        }


def _flat(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns tensors as one vector; one alone is left in its shape."""
    if len(values) == 1:
        return values[0]
    return tf.concat([tf.reshape(value, [-1]) for value in values], axis=0)
