"""Fusion and Orthogonal Projection (FOP, Saeed et al., ICASSP 2022): voice-face association."""

import tensorflow as tf

from tfav import tensors
from tfav.encoders import encoder
from tfav.layers import fusion, shared_classifier
from tfav.losses import orthogonality, softmax
from tfav.ops import similarity, sums
from tfav.recipes import argument_rows, paired, recipe


class FOP(recipe.Recipe):
    """A classifier of the gated sum of voice and face, whose classes are held orthogonal.

    loss_i = cross_entropy(W l_i, y_i) + orthogonality_weight * L_OC,i of `l_i`, where
    `l = k * tanh(face) + (1 - k) * tanh(voice)` and `k = sigmoid(V [face, voice] + c)`: the row
    `convex` of `FUSIONS`, summed. What is embedded and compared is a voice or a face alone.

    Args:
      encoders: `audio` (voice) and `image` (face) encoders of one embedding size.
      num_classes: identities of the training split.
      orthogonality_weight: factor of the orthogonality term, the paper's alpha.
      seed: Random seed of the heads' weights.

    Raises:
      UserError: other modalities, or encoders of two sizes.
    """

    arguments = {"orthogonality_weight": argument_rows.weight("the orthogonality term")}
    scalars = ("loss", "cross_entropy", "orthogonality", "accuracy", "similarity_matched")

    def __init__(
        self,
        encoders: dict[str, encoder.Encoder],
        num_classes: int,
        *,
        orthogonality_weight: float = 1.0,
        seed: int = 0,
    ):
        paired.check_modalities(encoders)
        sizes = {name: its.embedding_size for name, its in encoders.items()}
        heads = {
            "fusion": fusion.Convex(sizes, seed),
            "classifier": shared_classifier.SharedClassifier(
                num_classes, embedding_size=min(sizes.values()), normalized=False, seed=seed
            ),
        }
        super().__init__(encoders, heads)
        self.orthogonality_weight = orthogonality_weight

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]."""
        label = batch["label"]
        found = {name: self.embed(name, batch, training) for name in paired.MODALITIES}
        fused = sums.in_order(list(self.heads["fusion"](found).values()))
        logits = self.heads["classifier"](fused)
        entropy = softmax.cross_entropy(logits, label)
        orthogonal = orthogonality.orthogonality(fused, label)
        sides = [similarity.normalize(x) for x in found.values()]
        return {
            "loss": entropy + self.orthogonality_weight * orthogonal,
            "cross_entropy": entropy,
            "orthogonality": orthogonal,
            "accuracy": tf.cast(tf.equal(tf.argmax(logits, 1, label.dtype), label), entropy.dtype),
            "similarity_matched": tf.reduce_sum(sides[0] * sides[1], axis=1),
        }
