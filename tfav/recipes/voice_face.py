"""Seeking the Shape of Sound (Wen et al., CVPR 2021): voice-face association."""

from typing import Any

import tensorflow as tf

from tfav import typing
from tfav.encoders import base as encoders_base
from tfav.layers import classifiers
from tfav.losses import alignment as alignments
from tfav.losses import softmax
from tfav.recipes import base


class VoiceFace(base.Recipe):
    """A shared classifier aligns both modalities implicitly, a pairwise loss explicitly.

    loss_i = implicit_weight * (l_face_i + l_voice_i) + explicit_weight * l_explicit_i

    Args:
      encoders: `audio` (voice) and `image` (face) encoders of one embedding size.
      num_classes: identities of the training split.
      normalized: unit class weights and embeddings, logits = scale * cosine. False: the released
        code's plain inner products.
      scale: of the normalised logits; None: sqrt(2) ln(M - 1).
      alignment: a row of `alignment.ALIGNMENT`.
      alignment_args: arguments of that loss, such as `{"m": 5.4}`.
      implicit_weight: factor of the two classification terms.
      explicit_weight: factor of the alignment term.
      seed: of the classifier's weights.
    """

    scalars = ("loss", "implicit", "explicit", "accuracy")

    def __init__(
        self,
        encoders: dict[str, encoders_base.Encoder],
        num_classes: int,
        *,
        normalized: bool = True,
        scale: float | None = None,
        alignment: str = "explicit",
        alignment_args: dict[str, Any] | None = None,
        implicit_weight: float = 1.0,
        explicit_weight: float = 1.0,
        seed: int = 0,
    ):
        classifier = classifiers.SharedClassifier(
            num_classes,
            embedding_size=encoders["audio"].embedding_size,
            normalized=normalized,
            scale="auto" if scale is None else scale,
            seed=seed,
        )
        super().__init__(encoders, heads={"classifier": classifier})
        self.alignment = alignments.resolve(alignment, **(alignment_args or {}))
        self.implicit_weight = implicit_weight
        self.explicit_weight = explicit_weight

    def compute_losses(self, batch: typing.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns `loss`, `implicit`, `explicit` and `accuracy`, each [b]."""
        label = batch["label"]
        voice = self.embed("audio", batch, training)
        face = self.embed("image", batch, training)
        classifier = self.heads["classifier"]
        logits = [classifier(voice), classifier(face)]  # one weight matrix, two modalities
        implicit = tf.add_n([softmax.cross_entropy(x, label) for x in logits])
        explicit = self.alignment(voice, face, label)
        hits = [tf.cast(tf.equal(tf.argmax(x, -1, tf.int32), label), tf.float32) for x in logits]
        return {
            "loss": self.implicit_weight * implicit + self.explicit_weight * explicit,
            "implicit": implicit,
            "explicit": explicit,
            "accuracy": tf.add_n(hits) / len(hits),
        }
