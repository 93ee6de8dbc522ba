"""What a method that balances modalities changes in a step of training: the base of the rows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from tfav import registry
from tfav.ops import distributed, precision

Gradients = Sequence[tf.Tensor]


class Seen(NamedTuple):
    """What a recipe has computed of this replica's rows.

    Attributes:
      features: modality to its features [b, D_m].
      logits: modality to its part of the fused logits [b, C], in training with the margin.
      own: modality to the logits [b, C] of its own head; empty where there are none.
      label: Class of each row, [b] int.
      loss: Cross-entropy of the fused logits, [b].
      training: Whether this is a step of the training.
    """

    features: Mapping[str, tf.Tensor]
    logits: Mapping[str, tf.Tensor]
    own: Mapping[str, tf.Tensor]
    label: tf.Tensor
    loss: tf.Tensor
    training: bool


class Places(NamedTuple):
    """Which of a recipe's gradients are whose.

    Attributes:
      encoders: modality to the positions of its encoder's weights.
      head: position of the head's kernel.
    """

    encoders: Mapping[str, Sequence[int]]
    head: int


class Balance(tf.Module):
    """One method: a row of `balances.BALANCES`. What it remembers lies in checkpoints.

    Attributes:
      own_heads: Whether each modality has a head of its own in training.
      apart: Whether the logits of a modality must be of its own features alone.
      head: name of the head that the method needs; empty: any.
      parts: names of scalars, parts of the loss, whose gradients `combine` is given beside that of
        `loss`: one more backward pass each.
      scalars: names of what `losses` returns beside `loss`.

    Args:
      sizes: modality to the size D_m of its features.
      num_classes: C.
    """

    own_heads = False
    apart = False
    head = ""
    parts: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()

    def __init__(self, sizes: Mapping[str, int], num_classes: int):
        super().__init__(name="balance")
        if len(sizes) < 2:
            raise registry.UserError(
                f"a method that balances modalities was given {', '.join(sizes)}: it needs two "
                "modalities or more; set loss.balance to 'off'."
            )
        self.modalities = tuple(sizes)
        self.num_classes = num_classes

    def losses(self, seen: Seen) -> dict[str, tf.Tensor]:
        """Returns `loss` and each of `scalars`, [b]; what stacks on the head is added to `loss`."""
        return {"loss": seen.loss}

    def combine(
        self,
        gradients: Mapping[str, Gradients],
        places: Places,
        scalars: Mapping[str, tf.Tensor],
    ) -> list[tf.Tensor]:
        """Returns the gradients to apply, the same on every replica.

        Args:
          gradients: Gradients of all weights, summed over replicas, by `loss` and `parts`.
          places: whose they are.
          scalars: Means over the global batch.
        """
        del places, scalars
        return list(gradients["loss"])


def variable(value: tf.Tensor, name: str) -> tf.Variable:
    """Returns state that every replica sets alike: the first one's is everybody's."""
    first = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(value, trainable=False, name=name, aggregation=first)


def mean_of_batch(rows: tf.Tensor) -> tf.Tensor:
    """Returns the mean of rows [b, ...] over the global batch, without gradient."""
    return tf.reduce_mean(distributed.gather(tf.stop_gradient(precision.full(rows))), axis=0)


def one_size(sizes: Mapping[str, int], method: str) -> int:
    """Returns the size that the features of all modalities have.

    Raises:
      UserError: they differ.
    """
    if len(set(sizes.values())) > 1:
        raise registry.UserError(
            f"balance={method!r} compares features and was given embeddings {dict(sizes)}: give "
            "all encoders one embedding_size."
        )
    return next(iter(sizes.values()))
