"""Learnable PINs (Nagrani et al., ECCV 2018): negatives grow harder while training goes on."""

import tensorflow as tf

from tfav import registry, tensors, values
from tfav.encoders import encoder
from tfav.losses import curriculum
from tfav.recipes import argument_rows, paired, recipe


class PINs(recipe.Recipe):
    """A contrastive loss against one negative of each row, whose hardness follows a curriculum.

    loss_i = `curriculum.percentile` at the hardness of the step: `first_hardness`, more by `rise`
    every `rise_every` steps, up to `last_hardness`. The paper begins at 30 % and adds 10 % every
    second epoch up to 80 %. It draws pairs of one video and no identities: here a row of the same
    identity, if a batch holds one, is no negative.

    Args:
      encoders: `audio` and `image` encoders of one embedding size.
      num_classes: ignored.
      margin: Distance from which on a negative costs nothing.
      first_hardness: Hardness at the first step, in [0, 1].
      last_hardness: Hardness that is never passed.
      rise: How much harder the negatives become at a time.
      rise_every: Number of steps between two times.
      seed: ignored; nothing is drawn.

    Raises:
      UserError: other modalities, or a first hardness above the last.
    """

    arguments = {
        "margin": values.number(0.0, 2.0, "no two unit vectors are more than 2 apart", above=True),
        "first_hardness": values.number(0.0, 1.0, "a share of the negatives"),
        "last_hardness": values.number(0.0, 1.0, "a share of the negatives"),
        "rise": argument_rows.share("how much harder they become"),
        "rise_every": values.whole(1, 10**10, "steps between two rises"),
    }
    scalars = ("loss", "similarity_matched", "similarity_mismatched", "matched_wins", "hardness")

    def __init__(
        self,
        encoders: dict[str, encoder.Encoder],
        num_classes: int = 0,
        *,
        margin: float = 0.6,
        first_hardness: float = 0.3,
        last_hardness: float = 0.8,
        rise: float = 0.1,
        rise_every: int = 100,
        seed: int = 0,
    ):
        del num_classes, seed
        paired.check_modalities(encoders)
        if first_hardness > last_hardness:
            raise registry.UserError(
                f"first_hardness={first_hardness} is above last_hardness={last_hardness}: lower it."
            )
        super().__init__(encoders, {}, tables={"curriculum": paired.Steps()})
        self.margin = margin
        self.first_hardness, self.last_hardness = first_hardness, last_hardness
        self.rise, self.rise_every = rise, rise_every

    def hardness(self) -> tf.Tensor:
        """Returns the hardness of the negatives at the present step, float32 []."""
        times = tf.identity(self.tables["curriculum"].count) // self.rise_every
        risen = self.first_hardness + self.rise * tf.cast(times, tf.float32)
        return tf.minimum(risen, self.last_hardness)

    def compute_losses(self, batch: tensors.Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns each of `scalars` as [b]; the similarities are cosines."""
        audio, image = (self.embed(m, batch, training) for m in paired.MODALITIES)
        hardness = self.hardness()
        if training:
            self.tables["curriculum"].count.assign_add(1)
        loss = curriculum.percentile(audio, image, batch["label"], self.margin, hardness)
        return {
            "loss": loss,
            **paired.cosine_matches(audio, image),
            "hardness": tf.cast(hardness, loss.dtype) * tf.ones_like(loss),
        }
