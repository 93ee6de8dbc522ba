"""The weights of blended losses: a table, so that one run can find them and another use them."""

from collections.abc import Mapping

import tensorflow as tf

from tfav import registry
from tfav.ops import precision


class BlendingWeights(tf.Module):
    """A weight per loss of gradient blending (Wang et al., CVPR 2020).

    State, kept in checkpoints: `weight` [n], in the order of `names`.

    Args:
      weights: Weight of each loss by name, none negative and not all zero.
      name: Name of the table.

    Raises:
      UserError: A weight is negative or not finite, or all are zero.
    """

    def __init__(self, weights: Mapping[str, float], name: str = "blending"):
        super().__init__(name=name)
        self.names = tuple(weights)
        self.weight = tf.Variable(
            self._checked(weights),
            dtype=precision.full_dtype(),
            trainable=False,
            name="weight",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def assign(self, weights: Mapping[str, float]) -> None:
        """Takes the weights of `theory.blending_weights`, on the host.

        Raises:
          UserError: The losses are not those of the table, or a weight is negative or not finite,
            or all are zero.
        """
        self.weight.assign(self._checked(weights))

    def weights(self) -> dict[str, tf.Tensor]:
        """Returns the weights as scalars by name."""
        return dict(zip(self.names, tf.unstack(tf.convert_to_tensor(self.weight))))

    def _checked(self, weights: Mapping[str, float]) -> list[float]:
        if set(weights) != set(self.names):
            raise registry.UserError(
                f"blending has weights of {', '.join(sorted(weights))}: give one of each of "
                f"{', '.join(self.names)}."
            )
        values = [float(weights[name]) for name in self.names]
        if not all(0 <= v < float("inf") for v in values) or not sum(values) > 0:
            raise registry.UserError(
                f"blending={dict(weights)}: weights must not be negative, nor all zero."
            )
        return values
