"""Margins: in training, the cosine of a row's own class counts for less than it is."""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from tfav import registry
from tfav.layers import layer
from tfav.ops import precision

# From (cosines [B], margin []) to cosines [B].
MarginFunction = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
LARGEST = 1.5  # an angle of almost 90 degrees, three quarters of the range of a cosine


def none(cosine: tf.Tensor, margin: tf.Tensor) -> tf.Tensor:
    """Returns the cosines [B] as they are.

    Args:
      cosine: Cosines of the rows' own classes, [B].
      margin: Margin, [], which changes nothing.
    """
    del margin
    return cosine


def additive_cosine(cosine: tf.Tensor, margin: tf.Tensor) -> tf.Tensor:
    """Returns `cos(theta) - m`, [B] (CosFace, Wang et al., CVPR 2018).

    Args:
      cosine: Cosines of the rows' own classes, [B].
      margin: Margin m, [].
    """
    return cosine - margin


def additive_angular(cosine: tf.Tensor, margin: tf.Tensor) -> tf.Tensor:
    """Returns `cos(theta + m)`, [B] (ArcFace, Deng et al., CVPR 2019).

    Where `theta + m` lies past pi, and `cos` would rise again, it is `cos(theta) - m sin(m)`, as
    released: it falls with theta everywhere, with a step of `m sin(m) + cos(m) - 1` at that place.

    No angle is computed: `cos(theta + m) = cos(theta) cos(m) - sin(theta) sin(m)`. At a cosine of 1
    or -1 the sine has no slope and counts as constant, which is what a central difference sees.

    Args:
      cosine: Cosines of the rows' own classes, [B].
      margin: Margin m, [] in radians, from 0 to pi / 2.
    """
    square = (1.0 - cosine) * (1.0 + cosine)  # rounding can make a cosine longer than 1
    inside = square > 0
    sine = tf.where(inside, tf.sqrt(tf.where(inside, square, 1.0)), 0.0)
    turned = cosine * tf.cos(margin) - sine * tf.sin(margin)
    return tf.where(cosine > -tf.cos(margin), turned, cosine - margin * tf.sin(margin))


MARGINS: dict[str, MarginFunction] = {
    "none": none,
    "additive_cosine": additive_cosine,
    "additive_angular": additive_angular,
}


@keras.saving.register_keras_serializable("tfav")
class Margin(layer.Layer):
    """Puts a margin on cosine logits in training; outside of it they pass as they are.

    It stands behind a head of cosines, so that what is evaluated, exported and served has no
    margin. The margin grows linearly from 0 in the first `warmup_steps` steps; `steps` counts the
    training calls and is a weight, so that a resumed run goes on with the margin that it had.

    Args:
      scale: Factor by which the logits are cosines, positive.
      kind: Kind of margin: a row of `MARGINS` or a dotted path.
      margin: Margin after the warm-up, from 0 to 1.5.
      warmup_steps: Number of steps in which it grows; 0: it is there from the first step on.
      name: Name of the layer.

    Raises:
      UserError: The kind is unknown, or a number is out of its range.
    """

    def __init__(
        self,
        scale: float,
        *,
        kind: str,
        margin: float,
        warmup_steps: int = 0,
        name: str = "margin",
    ):
        super().__init__(name=name, dtype=precision.full_dtype())
        self._function = registry.lookup(
            MARGINS, kind, "margin_kind", registry.function("cosine", "margin")
        )
        if not scale > 0:
            raise registry.UserError(f"scale={scale} of the margin must be a positive number.")
        if not 0 <= margin <= LARGEST:
            raise registry.UserError(
                f"margin={margin}: give a number from 0 to {LARGEST}, such as 0.35 for "
                "additive_cosine or 0.5 for additive_angular."
            )
        if warmup_steps < 0:
            raise registry.UserError(
                f"margin_warmup_steps={warmup_steps}: give a number of steps, or 0 for none."
            )
        self.remember(scale=scale, kind=kind, margin=margin, warmup_steps=warmup_steps)
        self.scale = float(scale)
        self.margin = float(margin)
        self.warmup_steps = warmup_steps
        # Every replica counts the same calls, so the first one's number is everybody's.
        self.steps = tf.Variable(
            0,
            dtype=tf.int64,
            trainable=False,
            name="steps",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    # A plain variable is a weight to Keras 2 and unknown to Keras 3, which would not save it.
    def save_own_variables(self, store: dict) -> None:
        """Puts the number of training calls into a `.keras` or `.weights.h5` file."""
        store["steps"] = self.steps.numpy()

    def load_own_variables(self, store: dict) -> None:
        """Takes the number of training calls from such a file."""
        self.steps.assign(store["steps"][()])

    def current(self) -> tf.Tensor:
        """Returns the margin of the next training call, []."""
        margin = tf.constant(self.margin, self.compute_dtype)
        if not self.warmup_steps:
            return margin
        taken = tf.cast(tf.identity(self.steps), margin.dtype)
        return margin * tf.minimum(taken / float(self.warmup_steps), 1.0)

    def call(
        self,
        logits: Mapping[str, tf.Tensor],
        label: tf.Tensor | None = None,
        training: bool = False,
        here: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns logits [B, C] of each modality, in training with the margin at the own class.

        Args:
          logits: Logits [B, C] of each modality, `scale` times cosines.
          label: Class of each row, [B] int; needed in training alone.
          training: Whether this is a step of the training, and is counted.
          here: Whether a row's own class is among the C at all, [B] bool; None: of every row.

        Raises:
          UserError: There is no label in training.
        """
        if not training:
            return dict(logits)
        if label is None:
            raise registry.UserError(
                "a margin in training needs the class of each row: call the layer with label=."
            )
        margin = self.current()
        self.steps.assign_add(1)
        label = tf.convert_to_tensor(label)
        return {m: self._with_margin(z, label, margin, here) for m, z in logits.items()}

    def _with_margin(
        self, logits: tf.Tensor, label: tf.Tensor, margin: tf.Tensor, here: tf.Tensor | None
    ) -> tf.Tensor:
        own = tf.gather(logits, label, axis=1, batch_dims=1)
        margin = tf.cast(margin, logits.dtype)
        less = self.scale * self._function(own / self.scale, margin) - own
        if here is not None:
            less = tf.where(here, less, 0.0)
        index = tf.stack([tf.range(tf.size(label), dtype=label.dtype), label], axis=1)
        return tf.tensor_scatter_nd_add(logits, index, less)
