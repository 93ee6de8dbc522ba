"""InfoNCE of audio and images of one moment (van den Oord et al., 2018; CLIP's symmetric form)."""

import tensorflow as tf

from tfav import tensors, values
from tfav.encoders import encoder
from tfav.layers import temperature as temperature_lib
from tfav.losses import pairs
from tfav.ops import similarity
from tfav.recipes import paired, recipe


class InfoNCE(recipe.Recipe):
    """Each audio finds its image among all of the global batch, and each image its audio.

    The embeddings of the encoders are compared by their cosine, so that they share a space: what a
    server or a phone embeds is scored by an inner product. The temperature is learnt. Labels are
    never read: a row of the same class is a negative as any other.

    Args:
      encoders: `audio` and `image`, of one embedding size.
      num_classes: ignored.
      temperature: Temperature at the start.
      max_scale: Ceiling of one over the temperature, see `layers.Temperature`.
      seed: ignored; nothing is drawn.

    Raises:
      UserError: other modalities, or a value that makes no sense.
    """

    arguments = {
        "temperature": values.number(0.0, 100.0, "where it starts", above=True),
        "max_scale": values.number(0.0, 1e6, "the ceiling of 1 / temperature", above=True),
    }
    scalars = ("loss", "similarity_matched", "similarity_mismatched", "matched_wins", "scale")

    def __init__(
        self,
        encoders: dict[str, encoder.Encoder],
        num_classes: int = 0,
        *,
        temperature: float = 0.07,
        max_scale: float = 100.0,
        seed: int = 0,
    ):
        del num_classes, seed
        paired.check_modalities(encoders)
        layer = temperature_lib.Temperature(temperature, max_scale)
        super().__init__(encoders, {"temperature": layer})

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]; the similarities are cosines."""
        audio, image = (self.represent(m, batch, training) for m in paired.MODALITIES)
        scale = self.heads["temperature"].scale()
        loss = pairs.info_nce(audio, image, scale)
        found = pairs.compare(
            tf.stop_gradient(audio), tf.stop_gradient(image), self.pair_scores, "all"
        )
        return {
            "loss": loss,
            **paired.matches(*found),
            "scale": tf.stop_gradient(scale) * tf.ones_like(loss),
        }

    def represent(self, modality: str, batch: tensors.Batch, training: bool = False) -> tf.Tensor:
        """Returns the embeddings [B, D] of unit norm of one modality."""
        return similarity.normalize(self.embed(modality, batch, training))

    def pair_scores(self, audio: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Returns the cosines [B, N] of embeddings [B, D] and [N, D] of unit norm."""
        return paired.cosines(audio, image)

    def facts(self) -> dict[str, float]:
        """Returns the temperature that was learnt, for artefacts."""
        return {"temperature": float(1.0 / self.heads["temperature"].scale())}
