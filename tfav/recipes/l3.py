"""Look, listen and learn (Arandjelovic and Zisserman, ICCV 2017): what DMC is held against."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tfav import registry, tensors, values
from tfav.encoders import encoder
from tfav.layers import blocks
from tfav.losses import pairs
from tfav.ops import precision
from tfav.recipes import paired


class L3(paired.Correspondence):
    """Look, listen and learn (Arandjelovic and Zisserman, ICCV 2017): does this sound fit?

    Both globally pooled maps are joined and two dense layers tell matched from mismatched pairs;
    loss_i is the mean binary cross-entropy of both kinds, ln 2 at chance.

    Args:
      encoders: `audio` and `image`.
      num_classes: ignored.
      hidden_size: Units of the layer between, 128 in the paper.
      negatives: `derangement`: one mismatch per row; or `all` of the batch.
      pooling: `max`, the paper's, or `mean`.
      frozen: modalities whose encoder stays as it is.
      seed: Random seed of the weights and the mismatches.

    Raises:
      UserError: a value that makes no sense; names it and the fix.
    """

    scalars = (
        "loss",
        "similarity_matched",
        "similarity_mismatched",
        "matched_wins",
        "accuracy",
    )

    decision = 0.0  # the logit at which matched is as likely as mismatched

    arguments = {
        "hidden_size": values.whole(1, 65_536, "units of the layer between"),
        **paired.ARGUMENTS,
    }

    def __init__(
        self,
        encoders: dict[str, encoder.Encoder],
        num_classes: int = 0,
        *,
        hidden_size: int = 128,
        negatives: str = "derangement",
        pooling: str = "max",
        frozen: Sequence[str] = (),
        seed: int = 0,
    ):
        del num_classes
        if hidden_size < 1:
            raise registry.UserError(f"hidden_size={hidden_size}: give 1 or more.")

        def dense(name: str, units: int, use_bias: bool) -> keras.layers.Layer:
            return blocks.dense(
                units,
                paired.seed_of(name, seed),
                use_bias,
                dtype=precision.full_dtype(),
                name=name,
            )

        heads = {
            # One layer of both, in two halves: so all pairs of a batch cost one product each.
            "hidden_audio": dense("hidden_audio", hidden_size, False),
            "hidden_image": dense("hidden_image", hidden_size, True),
            "decide": dense("decide", 1, True),
        }
        super().__init__(
            encoders, heads, negatives=negatives, pooling=pooling, frozen=frozen, seed=seed
        )
        zeros = (tf.zeros([1, self.map_shape[m][3]]) for m in paired.MODALITIES)
        self.pair_scores(*zeros)  # gives the heads their weights

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]; the similarities are logits of `pair_scores`."""
        audio, image = (self.represent(m, batch, training) for m in paired.MODALITIES)
        matched, mismatched = self.compare(audio, image, training)
        right = tf.cast(matched > 0, matched.dtype)
        right += tf.reduce_mean(tf.cast(mismatched <= 0, matched.dtype), axis=1)
        return {
            "loss": pairs.correspondence(matched, mismatched),
            **paired.matches(matched, mismatched),
            "accuracy": 0.5 * right,
        }

    def represent(self, modality: str, batch: tensors.Batch, training: bool = False) -> tf.Tensor:
        """Returns the pooled features [B, C] of one modality."""
        return self.embed(modality, batch, training)

    def pair_scores(self, audio: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Returns the logits [B, N] that audio [B, C_a] and image [N, C_v] belong together."""
        hidden = self.heads["hidden_audio"](audio)[:, tf.newaxis]
        hidden += self.heads["hidden_image"](image)
        return tf.squeeze(self.heads["decide"](tf.nn.relu(hidden)), 2)
