"""Methods that balance modalities by the gradients of their encoders: MMPareto and AGM."""

from collections.abc import Mapping

import tensorflow as tf

from tfav.losses import rebalancing, softmax
from tfav.ops import precision, sums
from tfav.recipes import balancing
from tfav.recipes.balancing import Balance, Gradients, Places, Seen


class MMPareto(Balance):
    """A loss per modality beside the fused one, whose gradients are joined without conflict.

    Costs one backward pass more per step: each encoder's two gradients are told apart. The heads'
    own gradients stay as they are.

    Args:
      sizes, num_classes: as `Balance`.
      gamma: Factor of the encoders' gradients; the released code has 1.5.
    """

    own_heads = True
    parts = ("loss_alone",)
    scalars = ("loss_alone",)

    def __init__(self, sizes: Mapping[str, int], num_classes: int, gamma: float = 1.5):
        super().__init__(sizes, num_classes)
        self._gamma = gamma

    def losses(self, seen: Seen) -> dict[str, tf.Tensor]:
        """Returns the sum of all losses, and that of the modalities' own."""
        alone = sums.in_order([softmax.cross_entropy(z, seen.label) for z in seen.own.values()])
        return {"loss": seen.loss + alone, "loss_alone": alone}

    def combine(
        self,
        gradients: Mapping[str, Gradients],
        places: Places,
        scalars: Mapping[str, tf.Tensor],
    ) -> list[tf.Tensor]:
        """Returns the gradients, those of each encoder joined."""
        del scalars
        found = list(gradients["loss"])
        for positions in places.encoders.values():
            if not positions:  # a frozen encoder
                continue
            whole, alone = (
                tf.concat([tf.reshape(its[i], [-1]) for i in positions], axis=0)
                for its in (gradients["loss"], gradients["loss_alone"])
            )
            joined = rebalancing.pareto(whole - alone, alone, self._gamma)
            sizes = [tf.size(found[i]) for i in positions]
            for i, part in zip(positions, tf.split(joined, sizes)):
                found[i] = tf.reshape(part, tf.shape(found[i]))
        return found


class AGM(Balance):
    """Each encoder's gradient times a factor: how far its modality is ahead of what is usual.

    Costs nothing that one can measure: two scalars per modality. A modality's share of the fused
    logits is its Shapley value here, because they are a sum of one term per modality, so that no
    further forward pass is needed. Refused for fusions in which a term depends on all modalities.

    Args:
      sizes, num_classes: as `Balance`.
      alpha: Strength, positive.
    """

    apart = True

    def __init__(self, sizes: Mapping[str, int], num_classes: int, alpha: float = 0.5):
        super().__init__(sizes, num_classes)
        self._alpha = alpha
        self.scalars = tuple(f"loss_{m}" for m in sizes)
        zeros = tf.zeros([len(sizes)], precision.full_dtype())
        self.total = balancing.variable(zeros, "total")
        self.steps = balancing.variable(tf.zeros([], zeros.dtype), "steps")

    def losses(self, seen: Seen) -> dict[str, tf.Tensor]:
        """Returns the fused loss, and the cross-entropy of each modality's part of the logits."""
        alone = {f"loss_{m}": softmax.cross_entropy(z, seen.label) for m, z in seen.logits.items()}
        return {"loss": seen.loss, **alone}

    def combine(
        self,
        gradients: Mapping[str, Gradients],
        places: Places,
        scalars: Mapping[str, tf.Tensor],
    ) -> list[tf.Tensor]:
        """Returns the gradients, those of the encoders modulated; takes this step's losses in."""
        loss = tf.stack([scalars[name] for name in self.scalars])
        total, steps = self.total + loss, self.steps + 1.0
        self.total.assign(total)
        self.steps.assign(steps)
        factors = rebalancing.adaptive_factors(loss, total / steps, self._alpha)
        found = list(gradients["loss"])
        for m, factor in zip(self.modalities, tf.unstack(factors)):
            for i in places.encoders[m]:
                found[i] = factor * found[i]
        return found
